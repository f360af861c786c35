"""Endpoints: deploy, look, wait for a change, update, delete."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.canary import Canary
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.endpoint import Endpoint, EndpointVersion, TrialStage
from seatrial.domain.errors import BadInput, Forbidden, NotFound, SeatrialError
from seatrial.domain.limits import LONG_POLL_SECONDS_MAX
from seatrial.engine.deploy import ENDPOINT_EXISTS
from seatrial.http.api.deployments import ARCHIVE_TYPES, Asked, DeployByName, DeploySettings, read_asked
from seatrial.http.api.views import (
    CanaryView,
    EndpointDetails,
    EndpointList,
    EndpointView,
    VersionView,
    endpoint_members,
)
from seatrial.http.auth import caller, needs
from seatrial.http.services import Services

_BY_NAME = {"application/json": {"schema": DeployByName.model_json_schema()}}
_ARCHIVE = {name: {"schema": {"type": "string", "format": "binary"}} for name in sorted(ARCHIVE_TYPES)}
_FORM_SCHEMA = {
    "type": "object",
    "required": ["package"],
    "properties": {
        "package": {"type": "string", "format": "binary"},
        "name": {"type": "string"},
        "settings": DeploySettings.model_json_schema(),
    },
}
_FORM = {"multipart/form-data": {"schema": _FORM_SCHEMA}}
_DEPLOY_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _BY_NAME | _FORM | _ARCHIVE}}


class RerunAsked(BaseModel):
    """From which stage on."""

    model_config = ConfigDict(extra="forbid")

    since: TrialStage | None = Field(
        None, alias="from", description="What earlier stages have shown is taken over. null: the stage that failed."
    )


class EndpointRoutes:
    """What is done with endpoints."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._deployer = services.deployer

    def router(self) -> APIRouter:
        """The routes, under /v1/endpoints."""
        router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])
        add, body = router.add_api_route, _DEPLOY_BODY
        deploy, look = [needs(KeyScope.DEPLOY)], [needs(KeyScope.READ, KeyScope.DEPLOY)]
        add(
            "",
            self.create,
            methods=["POST"],
            status_code=202,
            summary="Deploy a package",
            openapi_extra=body,
            dependencies=deploy,
        )
        add(
            "/{name}",
            self.put,
            methods=["PUT"],
            status_code=202,
            summary="Deploy or update",
            openapi_extra=_named(body),
            dependencies=deploy,
        )
        add(
            "/{name}",
            self.patch,
            methods=["PATCH"],
            status_code=202,
            summary="Update or scale",
            openapi_extra=_named(body),
            dependencies=deploy,
        )
        add("", self.list, methods=["GET"], summary="List endpoints", dependencies=look)
        add(
            "/{name}",
            self.show,
            methods=["GET"],
            summary="Show an endpoint, or wait for its next change",
            dependencies=look,
        )
        add(
            "/{name}/contract",
            self.contract,
            methods=["GET"],
            summary="Show the contract with its samples",
            dependencies=[needs(KeyScope.READ)],
        )
        add(
            "/{name}/trial/rerun",
            self.rerun,
            methods=["POST"],
            status_code=202,
            summary="Run a failed trial of the newest version again",
            dependencies=deploy,
        )
        add(
            "/{name}",
            self.delete,
            methods=["DELETE"],
            status_code=202,
            summary="Delete an endpoint",
            dependencies=deploy,
        )
        return router

    # ------------------------------------------------------------------ looks

    async def list(self, request: Request) -> EndpointList:
        """All endpoints that the key reaches, by name."""
        shown = []
        for endpoint in await self._deployer.endpoints():
            if not caller(request).reaches(endpoint.name):
                continue
            ready = self._deployer.workers(endpoint.name)
            shown.append(EndpointView(**endpoint_members(endpoint, ready, self._changed(endpoint))))
        return EndpointList(endpoints=shown)

    async def show(
        self,
        name: str,
        wait: Annotated[int, Query(ge=0, description="Seconds to wait for a change.")] = 0,
        since: Annotated[str | None, Query(description="The `change` that is known already.")] = None,
    ) -> EndpointDetails:
        """Status, versions with the stages of their trials, workers, counts and contract."""
        until_ms = self._services.clock.monotonic_ms() + min(wait, LONG_POLL_SECONDS_MAX) * 1000
        heard = self._deployer.heard(name)
        details = await self._details(name)
        known = since or details.change
        while details.change == known:
            left_ms = until_ms - self._services.clock.monotonic_ms()
            if left_ms <= 0:
                break
            await self._deployer.wait(name, heard, left_ms / 1000)
            heard = self._deployer.heard(name)
            details = await self._details(name)
        return details

    async def contract(self, name: str) -> dict[str, Any]:
        """In the words of seatrial.toml, the samples' bytes inside, for those who verify the endpoint from outside.

        `left_out` names samples that are too large for that.
        """
        return await self._deployer.told_contract(name)

    async def delete(self, name: str) -> dict[str, str]:
        """Its workers end, its queued jobs fail as `endpoint_deleted`; it is gone when GET says 404."""
        await self._deployer.delete(name)
        return {"name": name, "status": "Deleting"}

    async def _details(self, name: str) -> EndpointDetails:
        endpoint = await self._deployer.endpoint(name)
        versions = await self._deployer.versions(name)
        counts = await self._services.inspector.counts(endpoint.id)
        shown = endpoint.active_version or endpoint.target_version
        chosen = next((version for version in versions if version.id == shown), versions[-1] if versions else None)
        canary = self._services.canaries.last(endpoint)
        return EndpointDetails(
            **endpoint_members(endpoint, self._deployer.workers(name), self._changed(endpoint)),
            jobs={str(state): count for state, count in counts.items()},
            contract=dict(chosen.contract) if chosen else {},
            versions=[VersionView.of(version) for version in versions],
            canary=None if canary is None else CanaryView.of(canary),
            change=_change(endpoint, versions, self._changed(endpoint), canary),
        )

    def _changed(self, endpoint: Endpoint) -> tuple[str, ...] | None:
        return self._services.reports.known(endpoint.active_version)

    async def _exists(self, name: str) -> bool:
        try:
            await self._deployer.endpoint(name)
        except NotFound:
            return False
        return True

    # ------------------------------------------------------------------ deploying

    async def create(self, request: Request) -> EndpointDetails:
        """Returns at once with status Creating; watch the trial with `GET …?wait=30&since=CHANGE`.

        The body is the archive (its settings as query parameters), a form with the archive and its settings,
        or JSON that names a stored archive.
        """
        principal = caller(request)
        return await self._create(await self._asked(request), principal)

    async def put(self, request: Request) -> EndpointDetails:
        """As POST; an endpoint of that name gets a new version instead, which takes over once it is proven.

        With `If-None-Match: *` an endpoint that is there is a conflict.
        """
        principal = caller(request)
        asked = await self._asked(request)
        only_new = request.headers.get("if-none-match") == "*"
        if only_new or not await self._exists(asked.name or ""):
            return await self._create(asked, principal)
        return await self._update(asked, principal)

    async def patch(self, request: Request) -> EndpointDetails:
        """A new version of an endpoint that is there; JSON `{"workers": N}` alone changes their number now."""
        principal = caller(request)
        return await self._update(await self._asked(request), principal)

    async def _asked(self, request: Request) -> Asked:
        return await read_asked(request, self._services.uploads, self._services.receivers)

    async def _create(self, asked: Asked, principal: Principal) -> EndpointDetails:
        if asked.name is None:
            asked.forget()
            raise BadInput(errors.MISSING_FIELD, "The endpoint needs a name.", field="name", valid="a name")
        try:
            require(principal, KeyScope.DEPLOY, endpoint=asked.name)
        except Forbidden:
            asked.forget()
            raise
        if asked.package is None:
            raise BadInput(
                errors.MISSING_FIELD, "There is nothing to deploy.", field="package", valid="s3://bucket/key"
            )
        try:
            await self._deployer.create(asked.deployment(principal, asked.package))
        except SeatrialError as error:
            asked.forget()
            if error.error_type == ENDPOINT_EXISTS:
                error.extra.setdefault(
                    "remedy", "Update it (PATCH, or `seatrial deploy --update`), or delete it first."
                )
            raise
        return await self._details(asked.name)

    async def _update(self, asked: Asked, principal: Principal) -> EndpointDetails:
        name = asked.name or ""
        if asked.package is None:
            return await self._scale(name, asked)
        try:
            await self._deployer.update(asked.deployment(principal, asked.package))
        except SeatrialError:
            asked.forget()
            raise
        return await self._details(name)

    async def rerun(self, name: str, asked: RerunAsked | None = None) -> EndpointDetails:
        """Returns at once; watch the trial as after a deployment. The version takes over once it passes."""
        await self._deployer.rerun(name, asked.since if asked is not None else None)
        return await self._details(name)

    async def _scale(self, name: str, asked: Asked) -> EndpointDetails:
        if set(asked.settings) != {"workers"}:
            valid = "a package with any settings, or workers alone"
            raise BadInput(errors.MISSING_FIELD, "A new version needs its package.", field="package", valid=valid)
        await self._deployer.scale(name, asked.settings["workers"])
        return await self._details(name)


def _change(
    endpoint: Endpoint, versions: list[EndpointVersion], changed: tuple[str, ...] | None, canary: Canary | None
) -> str:
    """A word that differs whenever the status, a stage, a setting, the report's staleness or the canary does."""
    seen = [endpoint, changed, [(version.id, version.stages) for version in versions], canary]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _named(body: dict[str, Any]) -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [name], **body}
