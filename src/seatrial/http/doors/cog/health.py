"""How an endpoint is, in the words of Cog's health check."""

from __future__ import annotations

from typing import Any

from seatrial import __version__
from seatrial.domain.endpoint import Endpoint, EndpointStatus, EndpointVersion, StageReport, StageState, TrialStage
from seatrial.domain.errors import NotFound
from seatrial.domain.limits import COG_LOGS_LINES_MAX
from seatrial.domain.logs import LogFilter
from seatrial.http.api.logs import log_group
from seatrial.http.dialects.cog.status import instant
from seatrial.http.doors.cog.predictions import Capacity, under_way
from seatrial.http.services import Services

TRIAL_STREAM = "trial/"  # of what the server says of a trial
VERSION = f"seatrial {__version__}"


async def health(services: Services, endpoint_name: str, capacity: Capacity) -> dict[str, Any]:
    """The document; always answered with 200, as at Cog."""
    try:
        endpoint = await services.deployer.endpoint(endpoint_name)
    except NotFound:
        return {"status": "UNKNOWN", "version": {"coglet": VERSION}}
    told: dict[str, Any] = {"status": await _status(services, endpoint, capacity)}
    version_id = endpoint.active_version or endpoint.target_version or endpoint.last_version
    if version_id is not None:
        version = await services.deployer.version(version_id)
        setup = await _setup(services, version)
        told |= {} if setup is None else {"setup": setup}
    told["version"] = {"coglet": VERSION}
    if endpoint.failure_reason and endpoint.active_version is None:
        told["user_healthcheck_error"] = endpoint.failure_reason
    return told


async def _status(services: Services, endpoint: Endpoint, capacity: Capacity) -> str:
    if endpoint.active_version is None:
        return "STARTING" if endpoint.status is EndpointStatus.CREATING else "SETUP_FAILED"
    if endpoint.status is EndpointStatus.DELETING:
        return "DEFUNCT"
    if capacity is Capacity.REFUSE:
        workers = services.deployer.workers(endpoint.name)
        return "BUSY" if await under_way(services, endpoint.id) >= workers else "READY"
    return "READY"


async def _setup(services: Services, version: EndpointVersion) -> dict[str, Any] | None:
    """The loading of the model in its trial, with what it printed then."""
    stage = next((one for one in version.stages if one.stage is TrialStage.LOAD), None)
    if stage is None:
        return None
    words = {StageState.RUNNING: "starting", StageState.FAILED: "failed"}
    told = {"started_at": instant(stage.started_at_ms), "status": words.get(stage.state, "succeeded")}
    if stage.ended_at_ms is not None:
        told["completed_at"] = instant(stage.ended_at_ms)
    return told | {"logs": await _logs(services, version.endpoint_name, stage)}


async def _logs(services: Services, endpoint_name: str, stage: StageReport) -> str:
    which = LogFilter(
        group=log_group(endpoint_name),
        since_ms=stage.started_at_ms,
        until_ms=stage.ended_at_ms,
        limit=COG_LOGS_LINES_MAX,
    )
    lines = [
        line.text
        for line in await services.logs.lines(which)
        if line.job_id is None and not line.stream.startswith(TRIAL_STREAM)
    ]
    return "".join(f"{text}\n" for text in [*lines, stage.message])
