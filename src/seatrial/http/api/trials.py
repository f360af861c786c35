"""`/v1/endpoints/{name}/trial`: what a trial found, signed; the same as a page; and the key to verify it with."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from seatrial.domain.credentials import KeyScope
from seatrial.domain.endpoint import Endpoint, EndpointVersion, StageState
from seatrial.domain.errors import TRIAL_REPORT_NOT_FOUND, VERSION_NOT_FOUND, NotFound
from seatrial.engine.report import Report, key_id
from seatrial.engine.report.page import POLICY, Page, keys_of, page
from seatrial.http.api.views import StageView, TrialKeyView, TrialView
from seatrial.http.auth import needs
from seatrial.http.services import Services

VersionQuery = Annotated[int | None, Query(ge=1, description="The number of a version; otherwise the newest.")]


class TrialRoutes:
    """Looking at reports. Each look finds out anew whether the report still holds."""

    def __init__(self, services: Services) -> None:
        self._deployer = services.deployer
        self._reports = services.reports

    def router(self) -> APIRouter:
        """The routes, under /v1."""
        router = APIRouter(prefix="/v1", tags=["trials"])
        add, html, look = router.add_api_route, HTMLResponse, [needs(KeyScope.READ, KeyScope.DEPLOY)]
        add(
            "/endpoints/{name}/trial",
            self.show,
            methods=["GET"],
            summary="Show the report of a trial",
            dependencies=look,
        )
        add(
            "/endpoints/{name}/trial.html",
            self.html,
            methods=["GET"],
            summary="The same as a page, with pictures and meshes",
            response_class=html,
            dependencies=look,
        )
        add(
            "/trial-key",
            self.key,
            methods=["GET"],
            summary="The public key that reports are signed with",
            dependencies=look,
        )
        return router

    async def show(self, name: str, version: VersionQuery = None) -> TrialView:
        """The stages, and once the trial has ended its signed report: `envelope` is what is signed (DSSE, Ed25519),
        `report` what it says. `stale_because` names what changed since."""
        endpoint, chosen = await self._chosen(name, version)
        report = await self._report(endpoint, chosen)
        changed = await self._reports.look(chosen, report) if report else None
        return TrialView(
            endpoint=name,
            version=chosen.number,
            version_id=chosen.id,
            active=endpoint.active_version == chosen.id,
            state=_state(chosen, endpoint, report),
            unproven=bool(report and report.document.get("unproven")),
            failure_reason=report.document.get("failure_reason") if report else None,
            stale=None if changed is None else bool(changed),
            stale_because=list(changed or ()),
            stages=[StageView.of(one) for one in chosen.stages],
            report=dict(report.document) if report and report.flaw is None else None,
            envelope=dict(report.envelope) if report else None,
            public_key=self._reports.public_pem,
        )

    async def html(self, name: str, version: VersionQuery = None) -> HTMLResponse:
        """One file that needs nothing else: it can be kept, sent and read anywhere."""
        endpoint, chosen = await self._chosen(name, version)
        report = await self._report(endpoint, chosen)
        if report is None or report.flaw is not None:
            why = report.flaw if report else "its trial goes on, or was before there were reports"
            message = f"There is no report of version {chosen.number} of {name!r} to show: {why}."
            raise NotFound(TRIAL_REPORT_NOT_FOUND, message)
        changed = await self._reports.look(chosen, report)
        contents = {key: await self._reports.content(key) for key in keys_of(report.document)}
        shown = Page(report.document, report.envelope, self._reports.public_pem, contents, changed)
        text = await asyncio.to_thread(page, shown)
        return HTMLResponse(text, 200, {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"})

    async def key(self) -> TrialKeyView:
        """It verifies every report of this server: `seatrial trial show --verify FILE --key KEY.pem`."""
        pem = self._reports.public_pem
        return TrialKeyView(algorithm="Ed25519", key_id=key_id(pem), public_key=pem)

    async def _report(self, endpoint: Endpoint, version: EndpointVersion) -> Report | None:
        """None while the version is on trial: what an earlier trial of it said counts no more."""
        return None if endpoint.target_version == version.id else await self._reports.read(version.id)

    async def _chosen(self, name: str, number: int | None) -> tuple[Endpoint, EndpointVersion]:
        endpoint = await self._deployer.endpoint(name)
        versions = await self._deployer.versions(name)
        found = versions[-1] if number is None else next((one for one in versions if one.number == number), None)
        if found is None:
            message = f"There is no version {number} of {name!r}."
            raise NotFound(VERSION_NOT_FOUND, message, field="version", valid=f"1 to {len(versions)}")
        return endpoint, found


def _state(version: EndpointVersion, endpoint: Endpoint, report: Report | None) -> str:
    if report is not None and report.flaw is None:
        return str(report.document["state"])
    if endpoint.target_version == version.id:
        return "running"
    failed = any(one.state is StageState.FAILED for one in version.stages)
    return "failed" if failed or not version.stages else "passed"
