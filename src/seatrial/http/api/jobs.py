"""Jobs beside the hot routes: list, cancel, retry, follow, read what they logged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.jobs import JobFilter, JobState
from seatrial.domain.limits import LIST_PAGE_MAX
from seatrial.domain.logs import LogFilter
from seatrial.http.api.events import event, event_stream
from seatrial.http.api.hot import accepted_view
from seatrial.http.api.logs import log_group, log_page
from seatrial.http.api.results import input_response
from seatrial.http.api.submission import idempotency_key
from seatrial.http.api.views import JobAccepted, JobPage, JobView, LogPage
from seatrial.http.auth import caller, check_job, needs, still_may
from seatrial.http.services import Services


class JobQuery(BaseModel):
    """Which jobs to list. A parameter that is not one of these is refused: it would not narrow anything."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str | None = Field(None, description="Only this endpoint.")
    status: list[JobState] = Field([], description="Only jobs with this status; may come often.")
    task: str | None = Field(None, description="Only this task.")
    before: str | None = Field(None, description="The `next` of the page before.")
    limit: int = Field(50, ge=1, le=LIST_PAGE_MAX)

    def filter(self, within: frozenset[str] | None) -> JobFilter:
        """As the store understands it; only of the endpoints `within`."""
        return JobFilter(
            endpoint_name=self.endpoint,
            states=frozenset(self.status),
            task=self.task,
            before=self.before,
            limit=self.limit,
            within=within,
        )


class JobRoutes:
    """What people and tools do with jobs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        """The routes, under /v1/jobs."""
        router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
        submit, look = [needs(KeyScope.SUBMIT)], [needs(KeyScope.READ)]
        router.add_api_route("", self.list, methods=["GET"], summary="List jobs, newest first", dependencies=look)
        router.add_api_route("/{id}/cancel", self.cancel, methods=["POST"], summary="Cancel a job", dependencies=submit)
        router.add_api_route(
            "/{id}/retry",
            self.retry,
            methods=["POST"],
            status_code=202,
            summary="Run an ended job's input again",
            dependencies=submit,
        )
        router.add_api_route(
            "/{id}/input",
            self.input,
            methods=["GET"],
            summary="What the job was given",
            response_class=Response,
            responses={200: {"content": {"*/*": {}}, "description": "The bytes, as they came"}},
            dependencies=look,
        )
        router.add_api_route(
            "/{id}/logs", self.logs, methods=["GET"], summary="What the job's attempts logged", dependencies=look
        )
        router.add_api_route(
            "/{id}/events",
            self.events,
            methods=["GET"],
            summary="Follow a job (server-sent events)",
            response_class=StreamingResponse,
            responses={200: {"content": {"text/event-stream": {}}, "description": "`job` events with a JobView each"}},
            dependencies=look,
        )
        return router

    async def list(self, request: Request, asked: Annotated[JobQuery, Query()]) -> JobPage:
        """Jobs of clients, newest first; trials' own jobs are not among them. Those of a deleted endpoint are."""
        principal = caller(request)
        require(principal, KeyScope.READ, endpoint=asked.endpoint)
        jobs = await self._services.inspector.jobs(asked.filter(principal.endpoints))
        if not jobs and asked.endpoint is not None:
            await self._known(asked.endpoint)
        return JobPage(jobs=[JobView.of(job) for job in jobs], next=jobs[-1].id if len(jobs) == asked.limit else None)

    async def _known(self, endpoint: str) -> None:
        """An endpoint that never was is an error; one without such jobs, or that is gone, is not."""
        if not await self._services.inspector.jobs(JobFilter(endpoint_name=endpoint, limit=1)):
            await self._services.deployer.endpoint(endpoint)

    async def cancel(self, id: str, request: Request) -> JobView:
        """Cancel a job. A running one is answered for once its worker is gone, and may still show as running
        (with `cancel_requested`) when that takes long."""
        await self._check(id, request)
        return JobView.of(await self._services.canceller.cancel(id))

    async def retry(self, id: str, request: Request, response: Response) -> JobAccepted:
        """A new job with the same input (`retry_of` names the old one). With an `Idempotency-Key`, once per key."""
        await self._check(id, request)
        accepted = await self._services.submitter.retry(id, idempotency_key(request))
        job = await self._services.inspector.job(accepted.job_id)
        response.headers["Location"] = f"/v1/jobs/{accepted.job_id}"
        return accepted_view(accepted, job.endpoint_name, job.retry_of)

    async def input(self, id: str, request: Request) -> Response:
        """The body that the job was submitted with."""
        await self._check(id, request)
        job = await self._services.inspector.job(id)
        return await input_response(job, self._services.objects)

    async def logs(
        self,
        id: str,
        request: Request,
        after: Annotated[int | None, Query(description="The `next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=LIST_PAGE_MAX)] = LIST_PAGE_MAX,
    ) -> LogPage:
        """Lines that the job's attempts wrote, oldest first."""
        await self._check(id, request)
        job = await self._services.inspector.job(id)
        which = LogFilter(log_group(job.endpoint_name), job_id=id, after_id=after, limit=limit)
        return log_page(await self._services.logs.lines(which), limit)

    async def events(self, id: str, request: Request) -> StreamingResponse:
        """The job now and after every change; the stream ends with the event of its end."""
        await self._check(id, request)
        job = await self._services.inspector.job(id)  # an unknown job is an error before the stream begins
        may_go_on = partial(still_may, request, self._services.keyring, KeyScope.READ, job.endpoint_name)
        return event_stream(self._events(id), may_go_on)

    async def _events(self, id: str) -> AsyncIterator[bytes]:
        async for job in self._services.inspector.follow(id):
            yield event("job", JobView.of(job).model_dump_json())

    async def _check(self, id: str, request: Request) -> None:
        await check_job(self._services.inspector, caller(request), id)
