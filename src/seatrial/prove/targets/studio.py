"""The image-generation callback protocol ("studio"), which the asynchronous LoRA image servers speak.

POST inference or train, GET inference/status/ID until it is completed, failed or timeout, GET inference/result/ID.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from seatrial.prove.request import Request, Source
from seatrial.prove.targets.answer import Answer, Part, State, failure_of
from seatrial.prove.targets.base import Wire, elapsed, poll
from seatrial.prove.targets.spelling import with_files
from seatrial.prove.targets.target import Description, Health, Ticket
from seatrial.prove.targets.trouble import NotOffered, Refused, Unreachable
from seatrial.prove.targets.web import Web

TRAINING = frozenset({"train", "training", "lora_training"})  # tasks that go to /train
NO_OUTPUT = "the studio protocol has no output of a training"
UNCARRIED = "the studio protocol carries the picture of an answer, else its JSON, and no further part"
_CAN = (Source.BASE64, Source.DATA_URL)
_STATES = {"completed": State.SUCCEEDED, "failed": State.FAILED, "timeout": State.TIMED_OUT}


class StudioTarget(Wire):
    """A task named `train`, `training` or `lora_training` is sent to /train, any other to /inference."""

    wire = "studio"

    def __init__(self, url: str, api_key: str | None) -> None:
        self.name = url
        self._web = Web(url, {"Authorization": f"Bearer {api_key}"} if api_key else {})
        self.url = self._web.url

    def describe(self) -> Description:
        told = self._health()
        status = str(told.get("status"))
        services = told.get("services")
        return Description(
            name=self.name,
            status=status,
            in_service=status == "healthy",
            starting=status == "starting",
            reason="" if status == "healthy" else _told(services),
            evidence={"url": self._web.url, "services": services},
        )

    def health(self) -> Health:
        told = self._health()
        reply = self._web.ask("GET", "/")
        well = told.get("status") == "healthy" and reply.status < 500
        words = f"GET /health says {told.get('status')}, GET / answers {reply.status}"
        return Health(well, words, {"health": dict(told), "root_status_code": reply.status})

    def calls_back(self, request: Request) -> bool:
        return request.task not in TRAINING

    def submit(self, request: Request) -> Ticket:
        job_id = request.id or uuid.uuid4().hex
        training = request.task in TRAINING
        submitted_at = time.monotonic()
        path = "/train" if training else "/inference"
        told = self._web.call("POST", path, **_body(request, job_id, training)).document()
        if not isinstance(told, dict) or told.get("accepted") is False:
            raise Refused(200, failure_of(told, f"{path} did not accept the job"))
        named = str(told.get("job_id", job_id))
        evidence = {"job_id": named, "training": training}
        return Ticket(id=named, submitted_at=submitted_at, request=request, evidence=evidence)

    def wait(self, ticket: Ticket, seconds: float) -> Answer:
        return poll(ticket, seconds, lambda: self._look(ticket))

    def _look(self, ticket: Ticket) -> Answer | None:
        told = self._status(ticket.id, bool(ticket.evidence["training"]))
        state = _STATES.get(told.get("status", ""))
        if state is None:
            return None
        seconds = elapsed(ticket)
        evidence = {**ticket.evidence, "callback": told.get("callback"), "completed_at": told.get("completed_at")}
        if state is not State.SUCCEEDED:
            failure = failure_of({"message": told.get("error") or told["status"]})
            return Answer(state=state, seconds=seconds, failure=failure, evidence=evidence)
        unasked = NO_OUTPUT if ticket.evidence["training"] and not told.get("result_url") else ""
        parts = () if unasked else self._result(ticket)
        return Answer(
            state=state, seconds=seconds, parts=parts, evidence=evidence, unasked=unasked, uncarried=UNCARRIED
        )

    def _result(self, ticket: Ticket) -> tuple[Part, ...]:
        path = f"/inference/result/{quote(ticket.id, safe='')}"
        reply = self._web.ask("GET", path)
        return (Part("result", reply.data, reply.media_type, self._web.url + path),) if reply.status == 200 else ()

    def status(self, job_id: str) -> str:
        return str(self._status(job_id, False).get("status"))

    def failures(self) -> frozenset[str]:
        told = self._web.call("GET", "/jobs").document()
        jobs = told.get("jobs") if isinstance(told, dict) else told
        if not isinstance(jobs, list) or not all(isinstance(one, dict) for one in jobs):
            raise NotOffered("GET /jobs does not list jobs here")
        return frozenset(str(one.get("job_id")) for one in jobs if one.get("status") in ("failed", "timeout"))

    def needs(self) -> Sequence[str]:
        return ["none: the protocol asks for no credentials (STUDIO_API_KEY is sent as a bearer token where it is set)"]

    def close(self) -> None:
        self._web.close()

    def _health(self) -> Mapping[str, Any]:
        reply = self._web.ask("GET", "/health")
        told = (reply if reply.status == 503 else self._web.checked("GET", "/health", reply)).document()
        if not isinstance(told, dict):
            raise Unreachable(f"{self._web.url}/health does not answer with JSON", "is this a studio server?")
        return told

    def _status(self, job_id: str, training: bool) -> Mapping[str, Any]:
        path = f"/{'training' if training else 'inference'}/status/{quote(job_id, safe='')}"
        told = self._web.call("GET", path).document()
        if not isinstance(told, dict):
            raise Unreachable(f"{self._web.url}{path} does not answer with JSON")
        return told


def _told(services: Any) -> str:
    """The states of a server's services, as `/health` has them."""
    if isinstance(services, dict):
        return ", ".join(f"{name}: {state}" for name, state in services.items())
    return f"services: {services}"


def _body(request: Request, job_id: str, training: bool) -> dict[str, Any]:
    if isinstance(request.input, bytes):
        return {"content": request.input, "headers": {"Content-Type": "application/json"}}
    fields = with_files(request, _CAN)
    if training:
        body: dict[str, Any] = {"job_type": "lora_training", "params": fields, "job_id": job_id}
        return {"json": body | ({"validator_endpoint": request.webhook} if request.webhook else {})}
    body = {**fields, "job_id": job_id}
    if request.webhook:
        body["callback_url"] = request.webhook
    if request.webhook_secret:
        body["callback_secret"] = request.webhook_secret
    return {"json": body}
