"""The routes that every job passes: submit, look, fetch. Found and answered ahead of the app's own machinery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.errors import BadInput
from seatrial.domain.jobs import Job
from seatrial.domain.limits import LONG_POLL_SECONDS_MAX, PRESIGNED_SECONDS_MAX
from seatrial.engine.submit import Accepted
from seatrial.http.api.results import result_response
from seatrial.http.api.submission import read_submission
from seatrial.http.api.views import PRIMARY, JobAccepted, JobLinks, JobView
from seatrial.http.auth import authenticate, check_job
from seatrial.http.errors import problem_of
from seatrial.http.presigned import presigned_url
from seatrial.http.services import Services

JSON = "application/json"
Handler = Callable[[Request], Awaitable[Response]]


class HotRoutes:
    """Submit a job, show it, fetch its result."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._routes: dict[str, Handler] = {
            "GET /v1/jobs/{id}": self.show,
            "GET /v1/jobs/{id}/result": self.result,
            "POST /v1/endpoints/{name}/jobs": self.submit,
        }

    def find(self, scope: Scope) -> Handler | None:
        """The handler of a hot request, its path parameters noted in the scope; None: one for the app."""
        match scope["method"], scope["path"].split("/"):
            case "GET", ["", "v1", "jobs", job_id] if job_id:
                scope["path_params"] = {"id": job_id}
                return self._routes["GET /v1/jobs/{id}"]
            case "GET", ["", "v1", "jobs", job_id, "result"]:
                scope["path_params"] = {"id": job_id}
                return self._routes["GET /v1/jobs/{id}/result"]
            case "POST", ["", "v1", "endpoints", name, "jobs"]:
                scope["path_params"] = {"name": name}
                return self._routes["POST /v1/endpoints/{name}/jobs"]
        return None

    async def answer(self, handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the handler; every error leaves as a problem document."""
        request = Request(scope, receive, send)
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - the named edge of these routes, as the app has its own
            response = await problem_of(request, error)
        await response(scope, receive, send)

    async def submit(self, request: Request) -> Response:
        """202 with the accepted job; with `Prefer: wait=N` 200 with the job if it ends in time."""
        principal = authenticate(request, self._services.keyring)
        require(principal, KeyScope.SUBMIT, endpoint=request.path_params["name"])
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
        job = await self._job(request)
        view = JobView.of(job, await self._services.waits.of(job))
        view.progress = self._services.streams.progress_of(job)
        if (seconds := urls_seconds(request)) is not None:
            principal, base = authenticate(request, self._services.keyring), self._services.url_for(request)
            for shown, part in zip(view.parts, job.parts, strict=True):
                name = part.object
                shown.signed_url = presigned_url(self._services.keyring, principal, "GET", base, name, seconds)
        return Response(view.model_dump_json(), 200, None, JSON)

    async def result(self, request: Request) -> Response:
        """The bytes of the result, or of one part."""
        job = await self._job(request)
        part_name = request.query_params.get("part", PRIMARY)
        at_hand = self._services.inspector.small_part(job.id, part_name)
        return await result_response(job, part_name, self._services.objects, at_hand)

    async def _job(self, request: Request) -> Job:
        """The job that is named, once it has ended or the client's wait is over."""
        principal = authenticate(request, self._services.keyring)
        require(principal, KeyScope.READ)
        job_id = request.path_params["id"]
        await check_job(self._services.inspector, principal, job_id)
        return await self._services.inspector.wait(job_id, wait_seconds(request))


def accepted_view(accepted: Accepted, endpoint_name: str, retry_of: str | None = None) -> JobAccepted:
    """What the client of a new job is told; of a retry, also whose."""
    return JobAccepted(
        id=accepted.job_id,
        endpoint=endpoint_name,
        existing=accepted.existing,
        retry_of=retry_of,
        result=accepted.output.result.uri,
        failure=accepted.output.failure.uri,
        links=JobLinks.of(accepted.job_id),
    )


def urls_seconds(request: Request) -> int | None:
    """For how long parts are to be read by URL. Raises BadInput."""
    asked = request.query_params.get("urls")
    if asked is None:
        return None
    if not asked.isdecimal() or len(asked) > 9 or not 1 <= int(asked) <= PRESIGNED_SECONDS_MAX:
        valid = f"1 to {PRESIGNED_SECONDS_MAX} seconds"
        raise BadInput(errors.INVALID_FIELD, f"{asked[:100]!r} is no time for URLs.", field="urls", valid=valid)
    return int(asked)


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
