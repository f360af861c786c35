"""Triggers: which objects of a bucket become jobs of which endpoint."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import BadInput, Conflict, NotFound
from seatrial.domain.limits import KEY_BYTES_MAX, OBJECT_EVENTS_SHOWN_MAX, TRIGGERS_PER_BUCKET_MAX
from seatrial.domain.media_types import JSON
from seatrial.domain.triggers import EventState, ObjectChange, ObjectEvent, Origin, Trigger, TriggerKind
from seatrial.engine.result_names import JOB_ID, check_result_name, check_result_reach
from seatrial.engine.trigger_acts import REACH, kept_reach
from seatrial.http.api.deployments import json_body
from seatrial.http.api.views import instant
from seatrial.http.auth import caller, needs
from seatrial.http.dialects.aws_lambda.names import arn
from seatrial.http.errors import invalid
from seatrial.http.services import Services
from seatrial.ports.object_store import NoSuchBucket

_CREATED = ("s3:ObjectCreated:*", *(f"s3:{one}" for one in ObjectChange if one is not ObjectChange.DELETED))
_REMOVED = ("s3:ObjectRemoved:*", f"s3:{ObjectChange.DELETED}")


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
    origin: Origin = Field(description="notification: the bucket's own configuration; setting: made here.")
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
        await self._check(asked, principal)
        trigger = self._trigger(asked, principal)
        await self._check_loop(asked)
        if not await self._services.triggers.add(trigger):
            raise Conflict(errors.TRIGGER_EXISTS, f"There is a trigger {trigger.name!r} on {trigger.bucket!r} already.")
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

    async def _check(self, asked: TriggerRequest, principal: Principal) -> None:
        await self._services.deployer.endpoint(asked.endpoint)
        try:
            await self._services.objects.list(asked.bucket, limit=1)
        except NoSuchBucket:
            raise BadInput(
                errors.INVALID_FIELD,
                f"There is no bucket {asked.bucket!r}.",
                field="bucket",
                valid=f"a bucket that is there: aws s3 mb s3://{asked.bucket}",
            ) from None
        unseen = asked.event == "object" or self._services.home is not None  # that objects go
        valid = _CREATED if unseen else (*_CREATED, *_REMOVED)
        for event in asked.events:
            if event not in valid:
                raise BadInput(
                    errors.INVALID_FIELD, f"{event!r} sets nothing off.", field="events", valid=", ".join(valid)
                )
        if asked.result is not None:
            check_result_name(asked.result)
            check_result_reach(asked.result, principal.reach, self._services.home)
        if len(await self._services.triggers.triggers(asked.bucket)) >= TRIGGERS_PER_BUCKET_MAX:
            raise Conflict(
                errors.TRIGGERS_TOO_MANY,
                f"{asked.bucket!r} has {TRIGGERS_PER_BUCKET_MAX} triggers, the most of one bucket.",
            )

    async def _check_loop(self, asked: TriggerRequest) -> None:
        """An endpoint whose results set itself off would never stop."""
        endpoint = await self._services.deployer.endpoint(asked.endpoint)
        active = endpoint.active_version
        prefix = (await self._services.deployer.version(active)).settings.output_prefix if active else None
        for place in (asked.result, None if prefix is None else prefix.uri):
            if place is not None and place.startswith("s3://") and _may_feed(asked, place):
                raise BadInput(
                    errors.TRIGGER_LOOP,
                    f"Results that go to {place} would set this trigger off again, for ever.",
                    field="result" if place == asked.result else "prefix",
                    valid="another bucket, or a prefix or suffix that results do not have",
                )

    def _trigger(self, asked: TriggerRequest, principal: Principal) -> Trigger:
        owner, keys = principal.owner, self._services.keyring.credentials
        is_object = asked.event == "object"
        options = {"task": asked.task, "media_type": asked.media_type, "result": asked.result}
        if not is_object:
            options |= {"endpoint": asked.endpoint, "event": asked.event}
        name = asked.name or uuid.uuid4().hex
        return Trigger(
            id=uuid.uuid5(uuid.NAMESPACE_URL, f"{owner} {asked.bucket} {name}").hex,
            owner=owner,
            bucket=asked.bucket,
            kind=TriggerKind.ENDPOINT if is_object else TriggerKind.FUNCTION,
            target=asked.endpoint if is_object else arn(asked.endpoint, keys.region, keys.account_id),
            origin=Origin.SETTING,
            name=name,
            created_at_ms=self._services.clock.now_ms(),
            events=frozenset(asked.events),
            prefix=asked.prefix,
            suffix=asked.suffix,
            options={key: value for key, value in options.items() if value is not None} | kept_reach(principal.reach),
        )


def _may_feed(asked: TriggerRequest, place: str) -> bool:
    """Whether an object below the place, or of that very name, may set the trigger off."""
    bucket, _, key = place.removeprefix("s3://").partition("/")
    before, _, after = key.partition(JOB_ID)
    if bucket != asked.bucket or not (before.startswith(asked.prefix) or asked.prefix.startswith(before)):
        return False
    return place != asked.result or after.endswith(asked.suffix) or asked.suffix.endswith(after)


def _reaches(principal: Principal, trigger: Trigger) -> bool:
    endpoint = trigger.options.get("endpoint", trigger.target if trigger.kind is TriggerKind.ENDPOINT else None)
    return principal.reaches_bucket(trigger.bucket) and (endpoint is None or principal.reaches(endpoint))


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
