"""The receiver to which a trial's notifications go: a stranger's, on loopback, which knows nothing of this server.

They leave through the outbox as every notification does, signed with a secret that this receiver alone shares.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from seatrial.domain.delivery import SECRET_PREFIX
from seatrial.domain.errors import Unproven
from seatrial.domain.jobs import Job
from seatrial.domain.limits import TRIAL_CALLBACK_SECONDS_MAX
from seatrial.engine.receivers import OwnReceivers
from seatrial.prove.callbacks import Callback, Inbox, Receiver, receiving

STAGE = "prove"
SECRET_BYTES = 32
REMEDY = "The package is not at fault: the server's log and /healthz say what keeps it from its own host."


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one job is to be told to."""

    url: str
    path: str


class Callbacks:
    """An async context in which the receiver listens."""

    def __init__(self, own: OwnReceivers) -> None:
        self._own = own
        self._stack = ExitStack()
        self._count = 0
        self._word = secrets.token_urlsafe(12)

    async def __aenter__(self) -> Callbacks:
        secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        self._receiver: Receiver = await asyncio.to_thread(self._listen, secret)
        self._own.open(self._receiver.url, secret)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._own.close(self._receiver.url)
        finally:
            await asyncio.to_thread(self._stack.close)

    def _listen(self, secret: str) -> Receiver:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="seatrial-callbacks-"))
        return self._stack.enter_context(receiving(Inbox(Path(folder)), secrets=(secret,)))

    def ticket(self) -> Ticket:
        """An address for one more job."""
        self._count += 1
        path = f"/{self._word}/{self._count}"
        return Ticket(self._receiver.url + path, path)

    async def check(self, ticket: Ticket, job: Job, where: str) -> dict[str, Any]:
        """Wait for the notification of a job that has succeeded, and hold it against the job.

        Raises:
            Unproven: it did not arrive, was not signed as it must be, or tells something else.
        """
        callback = await self._arrived(ticket)
        if callback is None:
            raise _unproven(f"{where}: its callback did not arrive within {TRIAL_CALLBACK_SECONDS_MAX} s.", job)
        if not callback.signature.is_good:
            raise _unproven(f"{where}: its callback was not signed as it must be: {callback.signature.reason}", job)
        wrong = await asyncio.to_thread(_difference, callback, job)
        if wrong:
            raise _unproven(f"{where}: its callback tells something else: {wrong}", job)
        return {"job_id": job.id, "delivery_id": callback.delivery_id, "received_at": callback.received_at}

    async def _arrived(self, ticket: Ticket) -> Callback | None:
        inbox = self._receiver.inbox
        for _ in range(TRIAL_CALLBACK_SECONDS_MAX):
            change = inbox.change
            found = next((one for one in inbox.callbacks() if one.path == ticket.path), None)
            if found is not None:
                return found
            await asyncio.to_thread(inbox.wait, change, 1.0)
        return None


def _difference(callback: Callback, job: Job) -> str:
    """What the document says otherwise than the job; empty when nothing does."""
    if callback.problem or not callback.parts or callback.parts[0].saved_path is None:
        return callback.problem or "it has no body"
    document = json.loads(Path(callback.parts[0].saved_path).read_bytes())
    data = document.get("data", {})
    said = {
        "type": document.get("type"),
        "job_id": data.get("job_id"),
        "status": data.get("status"),
        "result": data.get("result"),
        "parts": [one.get("sha256") for one in data.get("parts", [])],
    }
    wanted = {
        "type": f"job.{job.state}",
        "job_id": job.id,
        "status": job.state.value,
        "result": job.output.result.uri,
        "parts": [one.sha256 for one in job.parts],
    }
    return "; ".join(f"{name} is {said[name]!r}, not {wanted[name]!r}" for name in wanted if said[name] != wanted[name])


def _unproven(message: str, job: Job) -> Unproven:
    return Unproven(STAGE, message, details={"remedy": REMEDY, "job_id": job.id})
