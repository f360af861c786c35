"""Triggers: which objects of a bucket become jobs of which endpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.endpoint import VersionSettings
from seatrial.domain.errors import Conflict, NotFound
from seatrial.domain.limits import KEY_BYTES_MAX, OBJECT_EVENTS_SHOWN_MAX
from seatrial.domain.media_types import JSON
from seatrial.domain.triggers import EventState, ObjectEvent, Origin, Trigger, TriggerKind, TriggerWish
from seatrial.engine.result_names import JOB_ID
from seatrial.engine.trigger_acts import REACH
from seatrial.http.api.deployments import json_body
from seatrial.http.api.views import instant
from seatrial.http.auth import caller, needs
from seatrial.http.errors import invalid
from seatrial.http.services import Services


class TriggerRequest(BaseModel):
    """Objects that come to `bucket` with such a key become jobs of `endpoint`."""

    model_config = ConfigDict(extra="forbid")

    bucket: str
    endpoint: str
    name: str | None = Field(None, min_length=1, max_length=255, description="Unset: made up.")
    prefix: str = Field("", max_length=KEY_BYTES_MAX)
    suffix: str = Field("", max_length=KEY_BYTES_MAX)
    events: list[str] = Field(["s3:ObjectCreated:*"], min_length=1, description="In S3's words.")
    event: Literal["object", "s3", "sns", "sqs"] = Field(
        "object",
        description="What the job is given: the object as its input, as SageMaker's InputLocation does, or an event "
        "as Lambda functions get it, from S3 or in the envelope of SNS or SQS.",
    )
    task: str | None = Field(None, description="The task; unset: the body's own task field, or the only task.")
    media_type: str | None = Field(None, description="What the object is taken for; unset: as it was stored.")
    result: str | None = Field(
        None,
        description="Where the result goes: s3://bucket/key, or a path below the endpoint's output prefix, with "
        f"{JOB_ID} in it; unset: a name made up below that prefix.",
        examples=["s3://results/results/{job_id}.json"],
    )
    replace: bool = Field(False, description="Take the place of the trigger of that name, with its waiting events.")

    def wish(self) -> TriggerWish:
        """What is asked for."""
        said = self.model_dump(exclude={"endpoint", "replace", "events"})
        return TriggerWish(**said, events=tuple(self.events))


class TriggerView(BaseModel):
    """A trigger, whoever set it up."""

    id: str
    name: str
    bucket: str
    prefix: str
    suffix: str
    events: list[str]
    kind: TriggerKind = Field(description="function, topic or endpoint.")
    target: str = Field(description="The ARN or the endpoint's name.")
    origin: Origin = Field(
        description="notification: the bucket's own configuration; setting: made here; package: of seatrial.toml."
    )
    options: dict[str, Any] = {}
    created_at: str

    @classmethod
    def of(cls, trigger: Trigger) -> TriggerView:
        """The view of a trigger."""
        return cls(**_members(trigger))


class ObjectEventView(BaseModel):
    """One change of one object, and what came of it."""

    id: str
    uri: str
    event: str
    at: str
    size_bytes: int | None = None
    etag: str | None = None
    status: EventState
    outcome: str = Field(description="The job that it became, or why it became nothing.")
    tries: int = Field(description="That the endpoint could not take it.")

    @classmethod
    def of(cls, event: ObjectEvent) -> ObjectEventView:
        """The view of an event."""
        return cls(
            id=event.id,
            uri=event.name.uri,
            event=f"s3:{event.change}",
            at=instant(event.at_ms),
            size_bytes=event.size_bytes,
            etag=event.etag,
            status=event.state,
            outcome=event.outcome,
            tries=event.tries,
        )


class TriggerDetails(TriggerView):
    """A trigger with the last events that set it off, newest first."""

    last_events: list[ObjectEventView]


class TriggerList(BaseModel):
    """Triggers, by bucket and name."""

    triggers: list[TriggerView]


_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {JSON: {"schema": TriggerRequest.model_json_schema()}}}
}


class TriggerRoutes:
    """Make, look at and remove triggers."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        """The routes, under /v1/triggers."""
        router = APIRouter(prefix="/v1/triggers", tags=["triggers"])
        look, change = [needs(KeyScope.READ, KeyScope.DEPLOY)], [needs(KeyScope.DEPLOY)]
        router.add_api_route("", self.list, methods=["GET"], summary="List triggers", dependencies=look)
        router.add_api_route(
            "",
            self.create,
            methods=["POST"],
            status_code=201,
            summary="Let objects of a bucket become jobs",
            openapi_extra=_BODY,
            dependencies=change,
        )
        router.add_api_route(
            "/{id}", self.show, methods=["GET"], summary="Show a trigger with its last events", dependencies=look
        )
        router.add_api_route(
            "/{id}", self.remove, methods=["DELETE"], status_code=204, summary="Remove a trigger", dependencies=change
        )
        return router

    async def list(
        self, request: Request, bucket: Annotated[str | None, Query(description="Only of this bucket.")] = None
    ) -> TriggerList:
        """Those made here and those of buckets' notification configurations."""
        principal = caller(request)
        found = await self._services.triggers.triggers(bucket)
        return TriggerList(triggers=[TriggerView.of(one) for one in found if _reaches(principal, one)])

    async def create(self, request: Request) -> TriggerView:
        """From now on; objects that are there already set nothing off."""
        asked = await _asked(request)
        principal = caller(request)
        require(principal, KeyScope.DEPLOY, endpoint=asked.endpoint, bucket=asked.bucket)
        wish, triggers = asked.wish(), self._services.endpoint_triggers
        await triggers.check(wish, asked.endpoint, await self._settings(asked.endpoint), principal.reach)
        trigger = triggers.made(wish, asked.endpoint, principal.owner, principal.reach)
        await self._keep(trigger, asked, principal)
        return TriggerView.of(trigger)

    async def show(self, id: str, request: Request) -> TriggerDetails:
        """What set it off, and what came of that."""
        trigger = await self._found(id, caller(request))
        events = await self._services.triggers.events(id, OBJECT_EVENTS_SHOWN_MAX)
        return TriggerDetails(**_members(trigger), last_events=[ObjectEventView.of(one) for one in events])

    async def remove(self, id: str, request: Request) -> None:
        """Events that it was not acted upon for are dropped with it. One of a bucket's notification configuration
        goes with that."""
        trigger = await self._found(id, caller(request))
        if trigger.origin is Origin.PACKAGE:
            raise Conflict(
                errors.TRIGGER_ELSEWHERE,
                f"{trigger.name!r} is part of the package of {trigger.endpoint!r}.",
                details={"remedy": "take its [[triggers]] out of seatrial.toml and deploy that"},
            )
        if trigger.origin is not Origin.SETTING:
            remedy = f"aws s3api put-bucket-notification-configuration --bucket {trigger.bucket} …"
            raise Conflict(
                errors.TRIGGER_ELSEWHERE,
                f"{trigger.name!r} is part of the notification configuration of {trigger.bucket!r}.",
                details={"remedy": remedy},
            )
        await self._services.triggers.remove(id)

    # ------------------------------------------------------------------ inside

    async def _found(self, trigger_id: str, principal: Principal) -> Trigger:
        trigger = await self._services.triggers.trigger(trigger_id)
        if trigger is None or trigger.origin is Origin.UPLOAD or not _reaches(principal, trigger):
            raise NotFound(errors.TRIGGER_NOT_FOUND, f"There is no trigger {trigger_id[:200]!r}.")
        return trigger

    async def _settings(self, endpoint_name: str) -> VersionSettings:
        deployer = self._services.deployer
        active = (await deployer.endpoint(endpoint_name)).active_version
        return VersionSettings() if active is None else (await deployer.version(active)).settings

    async def _keep(self, trigger: Trigger, asked: TriggerRequest, principal: Principal) -> None:
        store = self._services.triggers
        if await store.add(trigger):
            return
        there = await store.trigger(trigger.id)
        if not asked.replace or (there is not None and not _reaches(principal, there)):
            message = f"There is a trigger {trigger.name!r} on {trigger.bucket!r} already."
            raise Conflict(errors.TRIGGER_EXISTS, message)
        await store.put(trigger)


def _reaches(principal: Principal, trigger: Trigger) -> bool:
    return principal.reaches_bucket(trigger.bucket) and (
        trigger.endpoint is None or principal.reaches(trigger.endpoint)
    )


def _members(trigger: Trigger) -> dict[str, Any]:
    return {
        "id": trigger.id,
        "name": trigger.name,
        "bucket": trigger.bucket,
        "prefix": trigger.prefix,
        "suffix": trigger.suffix,
        "events": sorted(trigger.events),
        "kind": trigger.kind,
        "target": trigger.target,
        "origin": trigger.origin,
        "options": {name: value for name, value in trigger.options.items() if name != REACH},
        "created_at": instant(trigger.created_at_ms),
    }


async def _asked(request: Request) -> TriggerRequest:
    """JSON whatever its Content-Type says."""
    try:
        return TriggerRequest.model_validate_json(await json_body(request))
    except ValidationError as error:
        raise invalid(error.errors()[0], TriggerRequest.model_json_schema()) from None
