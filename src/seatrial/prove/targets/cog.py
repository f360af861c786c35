"""A Cog model's own HTTP server (coglet): predictions are answered when they are done, there is no queue.

PUT predictions/ID holds the line until the end, failures are answered with 200, a busy server with 409.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import replace
from datetime import datetime
from typing import Any

from seatrial.prove.limits import INFERENCE_SECONDS_DEFAULT
from seatrial.prove.request import Request, Source
from seatrial.prove.targets.answer import Answer, Failure, Part, State, failure_of
from seatrial.prove.targets.base import Wire, elapsed
from seatrial.prove.targets.spelling import with_files
from seatrial.prove.targets.target import Description, Health, LogLine, Ticket
from seatrial.prove.targets.trouble import NotOffered, Unreachable
from seatrial.prove.targets.web import Reply, Web

_CAN = (Source.DATA_URL,)  # what cog.Path and cog.File take
_STATES = {"succeeded": State.SUCCEEDED, "failed": State.FAILED, "canceled": State.CANCELLED}


class CogTarget(Wire):
    """Each request has a thread that holds its line; its end is kept until somebody waits for it."""

    wire = "cog"

    def __init__(self, url: str, api_key: str | None) -> None:
        self.name = url
        self._web = Web(url, {"Authorization": f"Bearer {api_key}"} if api_key else {})
        self.url = self._web.url
        self._running: dict[str, Future[Reply]] = {}
        self._seen: list[LogLine] = []

    def describe(self) -> Description:
        told = self._health_check()
        setup = told.get("setup") or {}
        status = str(told.get("status"))
        loaded = setup.get("status")
        since = _seconds(setup.get("started_at"))
        return Description(
            name=self.name,
            status=status,
            in_service=status in ("READY", "BUSY"),
            reason=str(told.get("user_healthcheck_error") or _last_line(setup.get("logs")) or ""),
            since=since,
            starting=status in ("STARTING", "UNKNOWN"),
            workers_ready=1 if status in ("READY", "BUSY") else 0,
            load=None if loaded is None else (loaded == "succeeded", f"setup {loaded}{_took(setup)}"),
            evidence={"url": self._web.url, "status": status, "version": told.get("version")},
        )

    def health(self) -> Health:
        told = self._health_check()
        status, wrong = str(told.get("status")), told.get("user_healthcheck_error")
        words = f"GET /health-check says {status}" + (f": {wrong}" if wrong else "")
        return Health(status in ("READY", "BUSY"), words, {"status": status})

    def submit(self, request: Request) -> Ticket:
        job_id = request.id or uuid.uuid4().hex
        body = _body(request, job_id)
        seconds = request.timeout_seconds or INFERENCE_SECONDS_DEFAULT
        ticket = Ticket(id=job_id, submitted_at=time.monotonic(), request=request, evidence={"id": job_id})
        future: Future[Reply] = Future()
        self._running[job_id] = future

        def hold_the_line() -> None:
            try:
                future.set_result(self._web.ask("PUT", f"/predictions/{job_id}", read_seconds=seconds, **body))
            except Unreachable as trouble:
                future.set_exception(trouble)

        threading.Thread(target=hold_the_line, name=f"cog-{job_id}", daemon=True).start()
        return ticket

    def wait(self, ticket: Ticket, seconds: float) -> Answer:
        try:
            reply = self._running[ticket.id].result(timeout=seconds)
        except StillRunning:
            return Answer(state=State.PENDING, seconds=elapsed(ticket), evidence=ticket.evidence)
        self._running.pop(ticket.id, None)
        told = reply.document()
        if reply.status >= 400 or not isinstance(told, dict) or told.get("status") not in _STATES:
            evidence = {**ticket.evidence, "status_code": reply.status}
            return Answer(state=State.FAILED, seconds=elapsed(ticket), failure=reply.failure(), evidence=evidence)
        return self._answer(ticket, told)

    def _answer(self, ticket: Ticket, told: Mapping[str, Any]) -> Answer:
        state = _STATES[told["status"]]
        now = time.time()
        self._seen += [LogLine(now, line) for line in str(told.get("logs") or "").splitlines()]
        failure: Failure | None = None
        if state is not State.SUCCEEDED:
            failure = replace(failure_of(told.get("error") or told["status"]), document=dict(told), structured=True)
        return Answer(
            state=state,
            seconds=elapsed(ticket),
            parts=tuple(_parts(told.get("output"))) if state is State.SUCCEEDED else (),
            failure=failure,
            evidence={**ticket.evidence, "metrics": told.get("metrics")},
        )

    def cancel(self, ticket: Ticket) -> None:
        self._web.call("POST", f"/predictions/{ticket.id}/cancel")

    def status(self, job_id: str) -> str:
        """Cog tells no status; a cancel of a prediction that is not there is the question that it does answer."""
        self._web.call("POST", f"/predictions/{job_id}/cancel")
        raise NotOffered("the Cog protocol has no status of a prediction")

    def logs(self, since: float, until: float | None = None) -> Sequence[LogLine]:
        """What setup wrote, and what the predictions of this run wrote: Cog tells no more."""
        setup = self._health_check().get("setup") or {}
        at = _seconds(setup.get("completed_at")) or since
        lines = [LogLine(at, line) for line in str(setup.get("logs") or "").splitlines()]
        return [line for line in (*lines, *self._seen) if line.at >= since and (until is None or line.at <= until)]

    def needs(self) -> Sequence[str]:
        return ["none: Cog's server asks for no credentials (COG_API_KEY is sent as a bearer token where it is set)"]

    def close(self) -> None:
        self._web.close()

    def _health_check(self) -> Mapping[str, Any]:
        told = self._web.call("GET", "/health-check").document()
        if not isinstance(told, dict) or "status" not in told:
            raise Unreachable(f"{self._web.url}/health-check tells no status", "is this Cog's server?")
        return told


def _body(request: Request, job_id: str) -> dict[str, Any]:
    if isinstance(request.input, bytes):
        return {"content": request.input, "headers": {"Content-Type": "application/json"}}
    nameless = replace(request, task_field=None)  # a Cog server has one task
    fields = with_files(nameless, _CAN) if isinstance(request.input, dict) else request.input
    body: dict[str, Any] = {"id": job_id, "input": fields}
    if request.webhook:
        body |= {"webhook": request.webhook, "webhook_events_filter": ["completed"]}
    return {"json": body}


def _parts(output: Any) -> list[Part]:
    """The output: files come as data URLs, one or a list of them; everything else is JSON."""
    if output is None:
        return []
    several = output if isinstance(output, list) else [output]
    files = [_decoded(f"result-{number}" if number else "result", one) for number, one in enumerate(several)]
    whole = [one for one in files if one is not None]
    if several and len(whole) == len(several):
        return whole
    return [Part("result", json.dumps(output).encode(), "application/json")]


def _decoded(name: str, value: Any) -> Part | None:
    if not isinstance(value, str) or not value.startswith("data:"):
        return None
    head, _, encoded = value.partition(",")
    with contextlib.suppress(binascii.Error):
        data = base64.b64decode(encoded, validate=True)
        return Part(name, data, head.removeprefix("data:").removesuffix(";base64") or "text/plain")
    return None


def _seconds(instant: Any) -> float | None:
    if not isinstance(instant, str):
        return None
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(instant).timestamp()
    return None


def _took(setup: Mapping[str, Any]) -> str:
    began, ended = _seconds(setup.get("started_at")), _seconds(setup.get("completed_at"))
    return "" if began is None or ended is None else f" in {ended - began:.1f} s"


def _last_line(logs: Any) -> str:
    lines = str(logs or "").strip().splitlines()
    return lines[-1] if lines else ""
