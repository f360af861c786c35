"""A RunPod Serverless endpoint, or the local server of RunPod's SDK (`python handler.py --rp_serve_api`).

The hosted wire: POST run, GET status/ID, GET health, POST cancel/ID. The SDK's server (1.12) has no health or cancel,
wants POST for a status, runs the job while that is asked, and says FAILED of a job that it does not know.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from seatrial.prove.limits import TARGET_ANSWER_SECONDS_MAX
from seatrial.prove.request import Request, Source
from seatrial.prove.targets.answer import Answer, Failure, Part, State, failure_of
from seatrial.prove.targets.base import Wire, elapsed, poll
from seatrial.prove.targets.spelling import with_files
from seatrial.prove.targets.target import Description, Health, Ticket
from seatrial.prove.targets.trouble import NotOffered, Refused, Unknown, Unreachable
from seatrial.prove.targets.web import Reply, Web

HOSTED = "https://api.runpod.ai/v2"
_CAN = (Source.BASE64, Source.DATA_URL)
_STATES = {
    "COMPLETED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "CANCELLED": State.CANCELLED,
    "TIMED_OUT": State.TIMED_OUT,
}
_UNKNOWN_JOB = "job id not found"


class RunPodTarget(Wire):
    """`url` is the endpoint's own, such as https://api.runpod.ai/v2/ENDPOINT_ID."""

    wire = "runpod"

    def __init__(self, url: str, api_key: str | None) -> None:
        self.name = url.rpartition("/")[2]
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._web = Web(url, headers)
        self.url = self._web.url

    def describe(self) -> Description:
        told = self._health()
        if told is None:
            reply = self._web.call("GET", "/")
            status = f"up: the SDK's local server answers {reply.status}"
            return Description(name=self.name, status=status, in_service=True, evidence={"url": self._web.url})
        workers = told.get("workers", {})
        ready = sum(int(workers.get(state, 0)) for state in ("idle", "running"))
        unhealthy = int(workers.get("unhealthy", 0))
        words = ", ".join(f"{count} {state}" for state, count in workers.items() if count) or "no workers"
        return Description(
            name=self.name,
            status=words,
            in_service=ready > 0 or not unhealthy,
            reason=f"{unhealthy} workers are unhealthy and none is ready" if unhealthy and not ready else "",
            workers_ready=ready,
            evidence={"url": self._web.url, "health": told},
        )

    def health(self) -> Health:
        told = self._health()
        if told is None:
            reply = self._web.ask("GET", "/")
            words = f"no /health here (the SDK's local server has none); GET / answers {reply.status}"
            return Health(reply.status < 400, words, {"status_code": reply.status})
        unhealthy = int(told.get("workers", {}).get("unhealthy", 0))
        return Health(not unhealthy, f"GET /health answers, {unhealthy} workers unhealthy", {"health": told})

    def submit(self, request: Request) -> Ticket:
        submitted_at = time.monotonic()
        told = self._web.call("POST", "/run", **_body(request)).document()
        if not isinstance(told, dict) or not isinstance(told.get("id"), str):
            raise Refused(200, failure_of(told, "the answer to /run has no id"))
        return Ticket(id=told["id"], submitted_at=submitted_at, request=request, evidence={"id": told["id"]})

    def wait(self, ticket: Ticket, seconds: float) -> Answer:
        give_up = time.monotonic() + seconds
        return poll(ticket, seconds, lambda: self._look(ticket, max(give_up - time.monotonic(), 1.0)))

    def _look(self, ticket: Ticket, seconds: float) -> Answer | None:
        told = self._status(ticket.id, seconds)
        state = _STATES.get(told.get("status", ""))
        if state is None:
            return None
        shown = {key: told[key] for key in ("id", "status", "delayTime", "executionTime", "workerId") if key in told}
        parts: tuple[Part, ...] = ()
        if state is State.SUCCEEDED and told.get("output") is not None:
            parts = (Part("result", json.dumps(told["output"]).encode(), "application/json"),)
        failure = None if state is State.SUCCEEDED else _failure(told)
        return Answer(state=state, seconds=elapsed(ticket), parts=parts, failure=failure, evidence=shown)

    def cancel(self, ticket: Ticket) -> None:
        reply = self._web.ask("POST", f"/cancel/{quote(ticket.id, safe='')}")
        if reply.status in (404, 405):
            raise NotOffered("this server has no cancel (the SDK's local one has none)")

    def status(self, job_id: str) -> str:
        return str(self._status(job_id, TARGET_ANSWER_SECONDS_MAX).get("status"))

    def needs(self) -> Sequence[str]:
        return ["a RunPod API key (RUNPOD_API_KEY) that may run jobs of this endpoint and read their status"]

    def close(self) -> None:
        self._web.close()

    # ------------------------------------------------------------------ reading

    def _health(self) -> Mapping[str, Any] | None:
        """The health document; None: the server has none."""
        try:
            told = self._web.call("GET", "/health").document()
        except Unknown:
            return None
        if not isinstance(told, dict):
            raise Unreachable(f"{self._web.url}/health does not answer with JSON", "is this a RunPod endpoint?")
        return told

    def _status(self, job_id: str, seconds: float) -> Mapping[str, Any]:
        path = f"/status/{quote(job_id, safe='')}"
        reply: Reply = self._web.ask("GET", path)
        if reply.status == 405:
            reply = self._web.ask("POST", path, read_seconds=seconds)
        told = reply.document()
        if reply.status == 404:
            raise Unknown(reply.failure().message or "not found", told is not None)
        if not isinstance(told, dict):
            raise Unreachable(f"{self._web.url}{path} answers {reply.status} without JSON")
        if reply.status >= 400:
            raise Refused(reply.status, reply.failure())
        if str(told.get("error", "")).lower() == _UNKNOWN_JOB:
            raise Unknown(str(told["error"]))
        return told


def _failure(told: Mapping[str, Any]) -> Failure:
    """RunPod's `error` is a text, or one that is JSON itself; either way it comes in a document with the status."""
    return replace(
        failure_of(told.get("error"), told["status"]), document=dict(told), structured=bool(told.get("error"))
    )


def _body(request: Request) -> dict[str, Any]:
    if isinstance(request.input, bytes):
        return {"content": request.input, "headers": {"Content-Type": "application/json"}}
    fields = with_files(request, _CAN) if isinstance(request.input, dict) else request.input
    body: dict[str, Any] = {"input": fields}
    if request.webhook:
        body["webhook"] = request.webhook
    if request.timeout_seconds:
        body["policy"] = {"executionTimeout": int(max(request.timeout_seconds, 5) * 1000)}
    return {"json": body}
