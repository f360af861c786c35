"""The stage `refuse`: bad requests get their structured error, and cost no worker its life."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from seatrial.domain import errors
from seatrial.domain.contract import Contract, Field, FieldType, Task
from seatrial.domain.errors import SeatrialError, Unproven
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import TRIAL_OVERSIZED_BYTES_MAX
from seatrial.engine.crew import Crew
from seatrial.engine.images import HAS_PILLOW
from seatrial.engine.submission import Submission
from seatrial.engine.trial.prove import Progress
from seatrial.engine.trial.reason import failure_of
from seatrial.engine.trial.runs import Runs
from seatrial.engine.trial.samples import SampleRequests

STAGE = "refuse"
NO_TASK = "no-such-task"
NO_FIELD = "no-such-field"
JSON = "application/json"
WRONG_TYPE = {  # a value that the field's type is not
    FieldType.STRING: 7,
    FieldType.INTEGER: "seven",
    FieldType.NUMBER: "seven",
    FieldType.BOOLEAN: "perhaps",
    FieldType.OBJECT: "no object",
    FieldType.ARRAY: "no array",
    FieldType.IMAGE: 7,
    FieldType.FILE: 7,
}
REMEDY = "Raise an exception for what the handler cannot do; its words reach the client. Never end the process."
OWN_WORDS = (
    "Let the handler check it and answer, or raise, an error with an `error_type`; or take out `handler_checks`."
)


@dataclass(frozen=True, slots=True)
class Bad:
    """A request that must be refused. `wanted` are the error types that say rightly why; empty: any."""

    words: str
    submission: Submission
    wanted: frozenset[str] = frozenset()
    field: str | None = None
    may_succeed: bool = False  # without a contract nobody but the handler knows what is bad: then it is only told
    in_its_words: bool = False  # the handler refuses it: with a type of its own, and not by failing


class Refusing:
    """Sends each bad request as a job, and looks at its failure and at the workers."""

    def __init__(
        self, contract: Contract, requests: SampleRequests, runs: Runs, crew: Crew, progress: Progress
    ) -> None:
        self._contract = contract
        self._requests = requests
        self._runs = runs
        self._crew = crew
        self._progress = progress
        self._left_out: list[str] = []
        self._warnings: list[str] = []

    async def run(self) -> tuple[None, str, dict[str, Any]]:
        """The words and details of the report.

        Raises:
            Unproven: a bad request succeeded, was refused for another reason, or cost a worker its life.
        """
        refused: list[dict[str, Any]] = []
        making = self._declared() if self._contract.declared else self._undeclared()
        async for bad in making:
            self._progress(bad.words, len(refused), None)
            refused.append(await self._refuse(bad))
        if not refused:
            return None, "nothing to refuse: no sample says what a request looks like", {}
        accepted = sum(one["error_type"] is None for one in refused)
        count = len(refused) - accepted
        message = f"{count} bad request{'s' * (count != 1)} refused, every worker lives"
        if accepted:
            message += f"; {accepted} succeeded, which the handler alone can judge: a contract would refuse them"
        notes = {"left_out": self._left_out, "warnings": self._warnings}
        return None, message, {"refused": refused} | {name: said for name, said in notes.items() if said}

    async def _refuse(self, bad: Bad) -> dict[str, Any]:
        before = self._crew.worker_ids()
        try:
            job = await self._runs.run(bad.submission)
        except Unproven:
            raise
        except SeatrialError as error:  # refused at the door, which is as good
            return {"request": bad.words, "error_type": error.error_type, "message": error.message}
        self._check(bad, job)
        if job.state is JobState.SUCCEEDED:
            self._warnings.append(f"A request with {bad.words} succeeded.")
        after = self._crew.worker_ids()
        if after != before:
            message = f"A request with {bad.words} cost a worker its life."
            raise Unproven(STAGE, message, details={"remedy": REMEDY, "job_id": job.id})
        failure = failure_of(job)
        await self._runs.forget([job])
        if job.state is JobState.SUCCEEDED:
            return {"request": bad.words, "error_type": None, "message": "succeeded"}
        return {"request": bad.words, "error_type": failure.error_type, "message": failure.message}

    def _check(self, bad: Bad, job: Job) -> None:
        if job.state is JobState.SUCCEEDED:
            if bad.may_succeed:
                return
            message = f"A request with {bad.words} succeeded: its answer cannot be a result."
            raise Unproven(STAGE, message, details={"remedy": REMEDY, "job_id": job.id})
        failure = failure_of(job)
        if failure.error_type in (errors.WORKER_CRASHED, errors.INVOCATION_TIMEOUT):
            message = f"A request with {bad.words} cost a worker its life: {failure.message}"
            raise Unproven(STAGE, message, details={"remedy": REMEDY, "job_id": job.id} | dict(failure.details))
        if bad.in_its_words and failure.error_type == errors.HANDLER_ERROR:
            message = f"A request with {bad.words} made the handler fail instead of being refused: {failure.message}"
            raise Unproven(STAGE, message, details={"remedy": OWN_WORDS, "job_id": job.id} | dict(failure.details))
        if bad.wanted and failure.error_type not in bad.wanted:
            wanted = " or ".join(sorted(bad.wanted))
            message = f"A request with {bad.words} was refused as {failure.error_type}, not as {wanted}."
            raise Unproven(STAGE, message, details={"remedy": REMEDY, "job_id": job.id})

    # ------------------------------------------------------------------ requests

    async def _declared(self) -> AsyncIterator[Bad]:
        contract = self._contract
        body = {contract.task_field: NO_TASK}
        yield Bad("an unknown task", await self._sent(body), frozenset({errors.UNKNOWN_TASK}), contract.task_field)
        for task in contract.tasks:
            payload = await self._payload(task)
            if payload is None:
                self._left_out.append(f"task {task.name!r}: it has no sample that is JSON")
                continue
            for make in _PLAIN if not task.handler_checks else _FOR_HANDLERS:
                changed = make(task, payload)
                if changed is not None:
                    words, field, error_type, fields = changed
                    wanted = frozenset({error_type} if not task.handler_checks else ())
                    yield Bad(words, await self._sent(fields), wanted, field, in_its_words=task.handler_checks)
            for one in (one for one in task.fields if one.is_media):
                async for bad in self._media(task, one, payload):
                    yield bad

    async def _undeclared(self) -> AsyncIterator[Bad]:
        """Without a contract it is the handler that refuses or takes them; either way it has to live."""
        for sample in self._contract.loose_samples[:1]:
            payload = await self._requests.payload(self._contract, Task(""), sample)
            if payload is None:
                continue
            malformed = await self._requests.of_body(b'{"task": ', JSON, None, "malformed")
            yield Bad("malformed JSON", malformed, may_succeed=True)
            if self._contract.task_field in payload:
                body = payload | {self._contract.task_field: NO_TASK}
                yield Bad("an unknown task", await self._sent(body), may_succeed=True)

    async def _media(self, task: Task, one: Field, payload: dict[str, Any]) -> AsyncIterator[Bad]:
        """Too large, and of no use."""
        where = f"in {one.name!r} of task {task.name!r}"
        rest = {name: value for name, value in payload.items() if name not in (one.name, one.key_field)}
        oversized = _oversized(one)
        if oversized is None:
            self._left_out.append(f"an oversized file {where}: its limit is {one.bytes_max:,} bytes")
        else:
            fields = await self._with_media(one, rest, oversized)
            yield Bad(f"an oversized file {where}", fields, frozenset({errors.MEDIA_TOO_LARGE}), one.name)
        if one.type is FieldType.IMAGE and HAS_PILLOW:
            wrong = frozenset({errors.IMAGE_UNDECODABLE, errors.UNSUPPORTED_MEDIA_TYPE})
            side = max(64, math.isqrt(one.pixels_min - 1) + 1)
            cut = await self._with_media(one, rest, _png(side, side)[:60])
            yield Bad(f"half a picture {where}", cut, wrong, one.name)
            if one.pixels_min > 1:
                tiny = await self._with_media(one, rest, _png(1, 1))
                yield Bad(f"too small a picture {where}", tiny, frozenset({errors.MEDIA_TOO_SMALL}), one.name)

    async def _payload(self, task: Task) -> dict[str, Any] | None:
        for sample in task.samples[:1]:
            return await self._requests.payload(self._contract, task, sample)
        return None

    async def _sent(self, fields: dict[str, Any]) -> Submission:
        return await self._requests.of_body(json.dumps(fields).encode(), JSON, None, "refused")

    async def _with_media(self, one: Field, rest: dict[str, Any], content: bytes) -> Submission:
        fields = await self._requests.media_fields(one, content, f"refused-{one.name}.png")
        return await self._sent(rest | fields)


def _without_field(task: Task, payload: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]] | None:
    one = next((one for one in task.fields if one.required), None)
    if one is None:
        return None
    left = {name: value for name, value in payload.items() if name not in (one.name, one.key_field)}
    return f"no {one.name!r} for task {task.name!r}", one.name, errors.MISSING_FIELD, left


def _with_wrong_type(task: Task, payload: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]] | None:
    one = next((one for one in task.fields if not one.is_media), None) or next(iter(task.fields), None)
    if one is None:
        return None
    changed = {name: value for name, value in payload.items() if name != one.key_field} | {
        one.name: WRONG_TYPE[one.type]
    }
    return f"a wrong type in {one.name!r} for task {task.name!r}", one.name, errors.INVALID_FIELD, changed


def _with_a_long_text(task: Task, payload: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]] | None:
    one = next((one for one in task.fields if isinstance((one.schema or {}).get("maxLength"), int)), None)
    if one is None or one.schema is None:
        return None
    changed = payload | {one.name: "a" * (one.schema["maxLength"] + 1)}
    return f"too long a text in {one.name!r} for task {task.name!r}", one.name, errors.INVALID_FIELD, changed


def _with_another_field(task: Task, payload: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]] | None:
    if task.extra_fields:
        return None
    words = f"a field {NO_FIELD!r} for task {task.name!r}"
    return words, NO_FIELD, errors.UNKNOWN_FIELD, payload | {NO_FIELD: 1}


_PLAIN = (_without_field, _with_wrong_type)
_FOR_HANDLERS = (*_PLAIN, _with_a_long_text, _with_another_field)


def _oversized(one: Field) -> bytes | None:
    """A file beyond the field's limits: by its pixels, which cost nothing, or by its bytes."""
    if one.type is FieldType.IMAGE and HAS_PILLOW and "png" in (one.formats or ("png",)):
        side = int(one.pixels_max**0.5) + 1
        return _png(side, side) if side < 2**31 else None
    return bytes(one.bytes_max + 1) if one.bytes_max < TRIAL_OVERSIZED_BYTES_MAX else None


def _png(width: int, height: int) -> bytes:
    """The beginning of a grey PNG of that size (PNG specification, sections 5 and 11): header, a little data, end."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(min(height, 64) * (min(width, 64) + 1)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
