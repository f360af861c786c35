"""The routes that every job passes: submit, look, fetch. Plain Starlette: FastAPI's machinery costs more."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seatrial.domain import errors
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import LONG_POLL_SECONDS_MAX
from seatrial.engine.submit import Accepted
from seatrial.http.api.results import result_response
from seatrial.http.api.submission import read_submission
from seatrial.http.api.views import PRIMARY, JobAccepted, JobLinks, JobView
from seatrial.http.auth import authenticate
from seatrial.http.services import Services

JSON = "application/json"


class HotRoutes:
    """Submit a job, show it, fetch its result."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """In the order of their use."""
        return [
            Route("/v1/jobs/{id}", self.show, methods=["GET"]),
            Route("/v1/jobs/{id}/result", self.result, methods=["GET"]),
            Route("/v1/endpoints/{name}/jobs", self.submit, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        """202 with the accepted job; with `Prefer: wait=N` 200 with the job if it ends in time."""
        principal = authenticate(request, self._services.keyring)
        asked = await read_submission(request, principal, self._services.objects)
        accepted = await self._services.submitter.submit(asked.submission)
        headers = {"Location": f"/v1/jobs/{accepted.job_id}"}
        if asked.wait_seconds:
            headers["Preference-Applied"] = f"wait={asked.wait_seconds:g}"
            job = await self._services.inspector.wait(accepted.job_id, asked.wait_seconds)
            if job.ended:
                return Response(JobView.of(job).model_dump_json(), 200, headers, JSON)
        body = accepted_view(accepted, asked.submission.endpoint_name).model_dump_json()
        return Response(body, 202, headers, JSON)

    async def show(self, request: Request) -> Response:
        """The job; with `?wait=N` once it ends, or as it is after that many seconds."""
        authenticate(request, self._services.keyring)
        job = await self._services.inspector.wait(request.path_params["id"], wait_seconds(request))
        return Response(JobView.of(job).model_dump_json(), 200, None, JSON)

    async def result(self, request: Request) -> Response:
        """The bytes of the result, or of one part."""
        authenticate(request, self._services.keyring)
        job = await self._services.inspector.wait(request.path_params["id"], wait_seconds(request))
        return await result_response(job, request.query_params.get("part", PRIMARY), self._services.objects)


def accepted_view(accepted: Accepted, endpoint_name: str) -> JobAccepted:
    """What the client of a new job is told."""
    return JobAccepted(
        id=accepted.job_id,
        endpoint=endpoint_name,
        existing=accepted.existing,
        result=accepted.output.result.uri,
        failure=accepted.output.failure.uri,
        links=JobLinks.of(accepted.job_id),
    )


def wait_seconds(request: Request) -> float:
    """How long the client is willing to wait, at most LONG_POLL_SECONDS_MAX.

    Raises:
        BadInput: not a number of seconds.
    """
    asked = request.query_params.get("wait")
    if asked is None:
        return 0.0
    if not asked.isdecimal() or len(asked) > 9:
        raise BadInput(
            errors.INVALID_FIELD,
            f"{asked!r} is not a wait.",
            field="wait",
            valid=f"0 to {LONG_POLL_SECONDS_MAX} seconds",
        )
    return min(float(asked), LONG_POLL_SECONDS_MAX)
