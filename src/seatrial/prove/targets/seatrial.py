"""An endpoint of a Seatrial server, by its native API (docs/reference/api.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from seatrial.prove.contract import Contract
from seatrial.prove.contract_file import BadContract, contract_of
from seatrial.prove.limits import (
    CONTRACT_WAIT_SECONDS_MAX,
    LOG_LINES_MAX,
    LONG_POLL_SECONDS,
    POLL_SECONDS_MAX,
    TARGET_ANSWER_SECONDS_MAX,
)
from seatrial.prove.request import Request, Source
from seatrial.prove.targets.answer import Answer, Part, State, failure_of
from seatrial.prove.targets.base import Wire, elapsed
from seatrial.prove.targets.spelling import body_of, chosen, with_files
from seatrial.prove.targets.target import Description, Health, LogLine, Scaling, Ticket
from seatrial.prove.targets.trouble import Refused, Unknown, Unreachable
from seatrial.prove.targets.web import Web

_STATES = {"succeeded": State.SUCCEEDED, "failed": State.FAILED, "cancelled": State.CANCELLED}
_TIMEOUTS = frozenset({"invocation_timeout", "queue_ttl_expired", "deadline_exceeded"})
_INLINE = (Source.BASE64, Source.DATA_URL)
_CAN = (Source.RAW, *_INLINE)
_PAGE = 1000


class SeatrialTarget(Wire):
    """Files go as parts of a form, or within the JSON body where a field takes no raw bytes."""

    wire = "seatrial"

    def __init__(self, url: str, name: str, api_key: str) -> None:
        self.name = name
        self._web = Web(url, {"Authorization": f"Bearer {api_key}"})
        self.url = self._web.url
        self._path = f"/v1/endpoints/{quote(name, safe='')}"

    def describe(self) -> Description:
        told = self._get(self._path)
        shown = {key: told.get(key) for key in ("status", "failure_reason", "workers", "unproven", "modified_at")}
        return Description(
            name=self.name,
            status=told["status"],
            in_service=told["status"] in ("InService", "Updating", "RollingBack") and bool(told["active_version"]),
            reason=told["failure_reason"] or "",
            unproven=told["unproven"],
            since=_seconds(told["modified_at"]),
            created=_seconds(told["created_at"]),
            starting=told["status"] == "Creating",
            load=_load(told["versions"], told["active_version"]),
            workers_ready=told["workers"]["ready"],
            workers_wanted=told["workers"]["desired"],
            evidence=shown | {"url": self._web.url + self._path},
        )

    def health(self) -> Health:
        reply = self._web.ask("GET", "/healthz")
        told = reply.document()
        parts = told.get("parts", {}) if isinstance(told, dict) else {}
        down = [name for name, state in parts.items() if state != "ok"]
        words = f"GET /healthz answers {reply.status}" + (f": down: {', '.join(down)}" if down else "")
        return Health(reply.status == 200, words, {"status_code": reply.status, "parts": parts})

    def contract(self) -> Contract | None:
        try:
            return contract_of(self.told_contract(), None, f"the contract of {self.name}")
        except BadContract as error:
            raise Unreachable(str(error), "is this server of another version?") from None

    def told_contract(self) -> dict[str, Any]:
        """The document that the contract is made of: it may be kept as a file. A package on trial is waited for."""
        give_up = time.monotonic() + CONTRACT_WAIT_SECONDS_MAX
        while True:
            try:
                told: dict[str, Any] = self._get(f"{self._path}/contract")["contract"]
            except Refused as refused:  # its package is being inspected
                if refused.status != 503 or time.monotonic() > give_up or not self.describe().starting:
                    raise
                time.sleep(POLL_SECONDS_MAX)
            else:
                return told

    def submit(self, request: Request) -> Ticket:
        headers = {"X-Seatrial-Task": request.task} if request.task and not request.task_field else {}
        headers |= {f"X-Seatrial-{name}": value for name, value in request.options.items()}
        headers |= {"X-Seatrial-Webhook": request.webhook} if request.webhook else {}
        headers |= {"Idempotency-Key": request.id} if request.id else {}
        submitted_at = time.monotonic()
        told = self._web.call("POST", f"{self._path}/jobs", **_body(request, headers)).document()
        evidence = {"job": told["id"], "result": told["result"], "failure": told["failure"]}
        return Ticket(id=told["id"], submitted_at=submitted_at, request=request, evidence=evidence)

    def wait(self, ticket: Ticket, seconds: float) -> Answer:
        give_up = time.monotonic() + seconds
        while True:
            left = max(give_up - time.monotonic(), 0)
            wait = min(int(left), LONG_POLL_SECONDS)
            job = self._get(f"/v1/jobs/{ticket.id}", wait=wait)
            if job["status"] in _STATES:
                return self._answer(ticket, job)
            if left <= 0:
                return Answer(state=State.PENDING, seconds=elapsed(ticket), evidence=_shown(job))
            if wait == 0:
                time.sleep(min(left, 0.2))

    def cancel(self, ticket: Ticket) -> None:
        self._web.call("POST", f"/v1/jobs/{ticket.id}/cancel")

    def status(self, job_id: str) -> str:
        return str(self._get(f"/v1/jobs/{quote(job_id, safe='')}")["status"])

    def logs(self, since: float, until: float | None = None) -> Sequence[LogLine]:
        lines: list[LogLine] = []
        after: int | None = None
        while len(lines) < LOG_LINES_MAX:
            page = self._get(f"{self._path}/logs", since=str(int(since * 1000)), after=after)
            lines += [LogLine(_seconds(one["at"]), one["text"]) for one in page["lines"]]
            after = page["next"]
            if after is None:
                break
        return [line for line in lines if until is None or line.at <= until]

    def failures(self) -> frozenset[str]:
        page = self._get("/v1/jobs", endpoint=self.name, status="failed", limit=_PAGE)
        return frozenset(job["failure"] for job in page["jobs"])

    def failure_of(self, ticket: Ticket) -> str:
        return str(ticket.evidence["failure"])

    def scaling(self) -> Sequence[Scaling]:
        told = self._get(f"{self._path}/scaling")
        if told["min"] is None:
            return []
        policies = tuple(one["name"] for one in told["policies"])
        metrics = ("ApproximateBacklogSizePerInstance", "HasBacklogWithoutCapacity")  # it wakes by itself
        return [
            Scaling(resource=self.name, minimum=told["min"], maximum=told["max"], policies=policies, metrics=metrics)
        ]

    def needs(self) -> Sequence[str]:
        return ["the server's API key (SEATRIAL_API_KEY): to describe the endpoint, submit jobs and read its log"]

    def close(self) -> None:
        self._web.close()

    # ------------------------------------------------------------------ reading

    def _get(self, path: str, **params: Any) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        read_seconds = TARGET_ANSWER_SECONDS_MAX + LONG_POLL_SECONDS
        told = self._web.call("GET", path, params=given, read_seconds=read_seconds).document()
        if told is None:
            raise Unreachable(f"{self._web.url}{path} does not answer with JSON", "is this a Seatrial server?")
        return told

    def _answer(self, ticket: Ticket, job: Mapping[str, Any]) -> Answer:
        seconds = elapsed(ticket)
        state, failure = _STATES[job["status"]], None
        if job["error"] is not None:
            failure = failure_of(job["error"])
            if failure.error_type in _TIMEOUTS:
                state = State.TIMED_OUT
        parts = tuple(self._part(one) for one in sorted(job["parts"], key=lambda one: one["name"] != "result"))
        return Answer(state=state, seconds=seconds, parts=parts, failure=failure, evidence=_shown(job))

    def _part(self, told: Mapping[str, Any]) -> Part:
        reply = self._web.ask("GET", told["url"])
        if reply.status != 200:
            raise Unknown(f"the part {told['name']} of the result answers {reply.status}: {reply.failure().message}")
        return Part(told["name"], reply.data, told["media_type"], told["uri"], told["sha256"])


def _body(request: Request, headers: dict[str, str]) -> dict[str, Any]:
    """The request as httpx takes it: a form where a file goes as raw bytes."""
    raw = tuple(file for file in request.files if chosen(file, _CAN) is Source.RAW)
    if not raw:
        return {"content": body_of(request, _INLINE), "headers": {**headers, "Content-Type": request.media_type}}
    others = replace(request, files=tuple(file for file in request.files if file not in raw))
    fields = {name: _text(value) for name, value in with_files(others, _INLINE).items()}
    files = {file.field: (file.name, file.data, file.media_type) for file in raw}
    return {"data": fields, "files": files, "headers": headers}


def _load(versions: Sequence[Mapping[str, Any]], active: str | None) -> tuple[bool, str] | None:
    """What the active version's trial says of loading its model; None: it has not come to that."""
    stages: Sequence[Mapping[str, Any]] = next((one["stages"] for one in versions if one["id"] == active), [])
    found = next((stage for stage in stages if stage["stage"] == "load"), None)
    return (
        None
        if found is None
        else (found["state"] == "passed", f"the trial's load {found['state']}: {found['message']}")
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shown(job: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("id", "status", "result", "failure", "attempt", "submitted_at", "started_at", "ended_at", "waits_for")
    return {key: job[key] for key in keys if job.get(key) is not None}


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).astimezone(UTC).timestamp()
