"""From what a handler returned to staged parts that may become visible: checked first, the primary last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from seatrial.domain.checking import base64_bytes, check_answer, soft_failure
from seatrial.domain.checking.media_values import normal_base64
from seatrial.domain.commands import StagedPart
from seatrial.domain.contract import AnswerFiles, Contract, Output, OutputPart, Task
from seatrial.domain.errors import OUTPUT_CONTRACT, OUTPUT_TOO_LARGE, SeatrialError
from seatrial.domain.jobs import HIDDEN_PREFIX, Job, JobPurpose, OutputPlan
from seatrial.domain.json_text import parse_answer_json
from seatrial.domain.limits import (
    CLIENT_BUCKET_URL_SECONDS,
    JSON_OUTPUT_BYTES_MAX,
    JSON_PARSED_ON_LOOP_BYTES_MAX,
    KEY_BYTES_MAX,
    OUTPUT_BYTES_MAX,
    VALIDATED_IN_MEMORY_BYTES_MAX,
)
from seatrial.domain.media_types import BEGINNING_BYTES, begins_as, essence, extension_of, is_json, media_type_of
from seatrial.domain.objects import ObjectName, Sealed
from seatrial.domain.work import Produced
from seatrial.engine.client_bucket import Elsewhere, elsewhere
from seatrial.engine.transfers import Transfer, Transfers
from seatrial.engine.validation import OutputValidator
from seatrial.ports.client_buckets import ClientBuckets
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.object_store import ObjectStore, TooLarge
from seatrial.ports.storage import as_unavailable

PRIMARY = "result"
SOFT_FAILURE_WORDS = (b'"status"', b'"error"', b'_mock"')  # an answer without any of them says of no failure

OUTPUT_URLS = HIDDEN_PREFIX + "output_urls"  # the attribute with the seconds that parts' URLs are to be good for

Content = bytes | Path
Sign = Callable[[Job, str, ObjectName, int], str]  # a URL that reads a job's part, of that name, for so many seconds


class OutputSealer:
    """Checks an answer against its task's output and stages its parts."""

    def __init__(
        self,
        objects: ObjectStore,
        sign: Sign | None = None,
        transfers: Transfers | None = None,
        buckets: ClientBuckets | None = None,
    ) -> None:
        """Without `sign` references have no URLs; without `buckets` nothing goes to those of clients."""
        self._buckets = buckets
        self._transfers = transfers or Transfers()
        self._objects = objects
        self._sign = sign
        self._validator = OutputValidator()

    async def seal(
        self, job: Job, contract: Contract, produced: Produced, task: str | None = None, claim: str | None = None
    ) -> tuple[StagedPart, ...]:
        """The parts, secondary ones first. `task` is the one that was run (`Work.task`); None: the job's own.

        `claim` is the token of the attempt, for which they are staged.

        All parts together have at most OUTPUT_BYTES_MAX bytes. In a JSON answer the field of each part is
        {"uri", "media_type", "bytes", "sha256"}, and so the schema sees it. Where the job or its contract asks,
        a signed "url" and "url_expires_in_seconds" are added afterwards.

        Raises:
            SeatrialError: output_contract, output_invalid, output_too_large, media_support_missing,
                client_bucket_refused, or the handler's own words in an answer that says itself that it failed; then
                nothing stays staged.
        """
        staging = _Staging(self._objects, job.output, claim, partial(self._transfers.measured, job.id, Transfer.OUTPUT))
        ours = _task_of(contract, task or job.task)
        staging.urls_seconds = _urls_seconds(job, ours)
        staging.elsewhere = elsewhere(job, claim, self._buckets)
        try:
            await self._stage_all(job, staging, ours, produced)
        except TooLarge:
            await self._objects.discard(staging.sealed)
            raise _too_large(f"The output has more than {OUTPUT_BYTES_MAX:,} bytes in all.") from None
        except BaseException:
            await self._objects.discard(staging.sealed)
            raise
        reached(CrashPoint.STAGE_ALL_SEALED)
        return tuple(staging.parts)

    async def _stage_all(self, job: Job, staging: _Staging, task: Task | None, produced: Produced) -> None:
        body: Content = produced.body
        if task is not None:
            await _check_media_type(task, produced)
            if is_json(produced.media_type):
                body = await self._json_body(job, staging, task, produced)
            elif task.output.schema is not None or task.output.parts or produced.parts:
                wanted = "application/json, as its contract has a schema or parts"
                raise _broken(task, f"its media type is {produced.media_type!r}, and must be {wanted}")
            body = await self._valid(task, task.output, body, produced.media_type)
        elif is_json(produced.media_type):
            await _check_undeclared(produced.body)
        media_type = produced.media_type
        if staging.elsewhere is not None:
            body, media_type = await staging.elsewhere.moved(body, media_type)
        await staging.add(PRIMARY, staging.plan.result, body, media_type)

    async def _json_body(self, job: Job, staging: _Staging, task: Task, produced: Produced) -> Content:
        """The answer's bytes as clients will see them, checked; its parts are staged on the way."""
        source = await _whole(task, produced.body)
        answer = await _off_loop(len(source), _parsed, task, source)
        if task.output.soft_failures:
            _refuse_soft_failure(answer)
        within = produced.parts if task.output.files is AnswerFiles.WITHIN else {}
        contents = _part_contents(task, answer, {} if within else produced.parts)
        for part, content in contents:
            await _check_part(task, part, content)
            content = await self._valid(task, part, content, part.media_type)  # noqa: PLW2901
            name = part_name(staging.plan, part)
            sealed = await staging.add(part.name, name, content, part.media_type)
            answer[part.name] = await staging.refer(name, part, sealed, content)
        for number, (place, content) in enumerate(within.items()):
            part = OutputPart(f"file-{number}", await _media_type(answer, place, content))
            name = part_name(staging.plan, part)
            sealed = await staging.add(part.name, name, content, part.media_type)
            _put(answer, place, await staging.refer(name, part, sealed, content))
        await _off_loop(len(source), check_answer, task, answer)
        if self._sign is not None:
            staging.add_urls(partial(self._sign, job))
        return (await _off_loop(len(source), json.dumps, answer)).encode() if contents or within else source

    async def _valid(self, task: Task, declared: Output | OutputPart, content: Content, media_type: str) -> Content:
        """What the validators have seen is what is staged: a file that is not large is read once, for both."""
        if declared.validate is None:
            return content
        if isinstance(content, Path) and await asyncio.to_thread(_size, content) <= VALIDATED_IN_MEMORY_BYTES_MAX:
            content = await asyncio.to_thread(_head, content, VALIDATED_IN_MEMORY_BYTES_MAX + 1)
        await self._validator.check(task, declared, content, media_type)
        return content


class _Staging:
    """What has been staged for one answer, and how much room is left."""

    def __init__(
        self,
        objects: ObjectStore,
        plan: OutputPlan,
        claim: str | None,
        measured: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._measured = measured
        self._objects = objects
        self._claim = claim
        self._left_bytes = OUTPUT_BYTES_MAX
        self.plan = plan
        self.parts: list[StagedPart] = []
        self.urls_seconds: int | None = None
        self.elsewhere: Elsewhere | None = None
        self._client_urls: list[tuple[dict[str, Any], str]] = []
        self._references: list[tuple[str, ObjectName, dict[str, Any]]] = []

    @property
    def sealed(self) -> list[Sealed]:
        return [one.sealed for one in self.parts]

    async def refer(self, name: ObjectName, part: OutputPart, sealed: Sealed, content: Content) -> dict[str, Any]:
        """What stands in the answer for a part."""
        reference = _reference(name, part, sealed)
        url = None if self.elsewhere is None else await self.elsewhere.put(part.name, content, part.media_type)
        if url is not None:
            self._client_urls.append((reference, url))
        self._references.append((part.name, name, reference))
        return reference

    def add_urls(self, sign: Callable[[str, ObjectName, int], str]) -> None:
        """Let every reference be read by whoever reads the answer, where that is asked for."""
        for reference, url in self._client_urls:
            reference |= {"url": url, "url_expires_in_seconds": CLIENT_BUCKET_URL_SECONDS}
        seconds = self.urls_seconds or 0
        for part, name, reference in self._references if seconds else ():
            if "url" in reference:
                continue  # in the client's own bucket
            reference |= {"url": sign(part, name, seconds), "url_expires_in_seconds": seconds}

    async def add(self, name: str, target: ObjectName, content: Content, media_type: str) -> Sealed:
        try:
            with self._measured():
                sealed = await self._objects.stage(content, self._left_bytes, self._claim)
        except OSError as error:
            if not isinstance(content, Path) or await asyncio.to_thread(content.is_file):
                raise
            raise SeatrialError(
                OUTPUT_CONTRACT, f"The file of the part {name!r} cannot be read: {error.strerror}", field=name
            ) from None
        reached(CrashPoint.STAGE_PART_SEALED)
        self._left_bytes -= sealed.size_bytes
        self.parts.append(StagedPart(name, target, sealed, media_type))
        return sealed


def _urls_seconds(job: Job, task: Task | None) -> int | None:
    """As the request says, else as the contract does; a trial's answers are compared, and have none."""
    if job.purpose is JobPurpose.TRIAL:
        return None
    asked = job.attributes.get(OUTPUT_URLS)
    return int(asked) if asked else None if task is None else task.output.urls_seconds


def part_name(plan: OutputPlan, part: OutputPart) -> ObjectName:
    """`a/b.out` -> `a/b-overlay.png`.

    Raises:
        SeatrialError: output_contract: the key would be too long.
    """
    folder, slash, last = plan.result.key.rpartition("/")
    stem, dot, _ = last.rpartition(".")
    key = f"{folder}{slash}{stem if dot and stem else last}-{part.name}{extension_of(part.media_type)}"
    if len(key.encode()) > KEY_BYTES_MAX:
        raise SeatrialError(
            OUTPUT_CONTRACT, f"The key of the part {part.name!r} would be longer than {KEY_BYTES_MAX:,} bytes: {key}"
        )
    return ObjectName(plan.result.bucket, key)


async def _check_undeclared(body: Content) -> None:
    """Nothing is declared about this answer, but it may say itself that it is none."""
    source = body if isinstance(body, bytes) else await asyncio.to_thread(_head, body, JSON_OUTPUT_BYTES_MAX + 1)
    if len(source) > JSON_OUTPUT_BYTES_MAX or not any(word in source for word in SOFT_FAILURE_WORDS):
        return
    try:
        answer = await _off_loop(len(source), parse_answer_json, source)
    except ValueError:
        return  # whether it must be sound JSON is for a contract to say
    _refuse_soft_failure(answer)


def _refuse_soft_failure(answer: Any) -> None:
    failure = soft_failure(answer)
    if failure is not None:
        raise SeatrialError(failure.error_type, failure.message, details=failure.details)


def _task_of(contract: Contract, named: str | None) -> Task | None:
    """None when nothing is declared about the answer."""
    if not contract.declared:
        return None
    task = contract.task(named) if named is not None else None
    if task is None and len(contract.tasks) == 1:
        return contract.tasks[0]
    if task is None:
        raise SeatrialError(OUTPUT_CONTRACT, f"It is not known which task's output this is (task {named!r}).")
    return task


async def _check_media_type(task: Task, produced: Produced) -> None:
    wanted = task.output.media_type
    if wanted is None:
        return
    if essence(produced.media_type) != essence(wanted):
        raise _broken(task, f"its media type is {produced.media_type!r}, and must be {wanted!r}")
    if not begins_as(wanted, await _beginning(produced.body)):
        raise _broken(task, f"its bytes do not begin as {wanted!r} does")


def _part_contents(task: Task, answer: Any, returned: Mapping[str, Content]) -> list[tuple[OutputPart, Content]]:
    """The declared parts: bytes or a file from the worker, or else base64 text or a data URL in the answer."""
    undeclared = sorted(returned.keys() - {one.name for one in task.output.parts})
    if undeclared:
        raise _broken(task, f"it holds bytes in {undeclared[0]!r}, which is not a declared part", undeclared[0])
    if task.output.parts and not isinstance(answer, dict):
        raise _broken(task, "it has parts, so it must be a JSON object")
    found: list[tuple[OutputPart, Content]] = []
    for part in task.output.parts:
        content = returned.get(part.name)
        if content is None and answer.get(part.name) is not None:
            content = _from_text(task, part, answer[part.name])
        if content is not None:
            found.append((part, content))
        elif part.required:
            raise _broken(task, f"its part {part.name!r} is missing, and must be {part.media_type} bytes", part.name)
    return found


def _put(answer: Any, place: str, value: Any) -> None:
    """At a place of a JSON answer, told as the steps to it: `layers/0`."""
    *steps, last = _steps(place)
    for step in steps:
        answer = answer[int(step) if isinstance(answer, list) else step]
    answer[int(last) if isinstance(answer, list) else last] = value


def _steps(place: str) -> list[str]:
    """RFC 6901, without the first slash."""
    return [step.replace("~1", "/").replace("~0", "~") for step in place.split("/")]


async def _media_type(answer: Any, place: str, content: Content) -> str:
    """Of a file within an answer, where its name stands."""
    for step in _steps(place):
        answer = answer[int(step) if isinstance(answer, list) else step]
    return media_type_of(str(answer), await _beginning(content))


def _from_text(task: Task, part: OutputPart, value: Any) -> bytes:
    text = value.partition(";base64,")[2] if isinstance(value, str) and value.startswith("data:") else value
    normal = normal_base64(text) if isinstance(text, str) else None
    if normal is None:
        raise _broken(task, f"its part {part.name!r} must be bytes, a file, base64 text or a data URL", part.name)
    return base64_bytes(normal)


async def _check_part(task: Task, part: OutputPart, content: Content) -> None:
    if not begins_as(part.media_type, await _beginning(content)):
        raise _broken(task, f"the bytes of its part {part.name!r} do not begin as {part.media_type} does", part.name)


def _reference(name: ObjectName, part: OutputPart, sealed: Sealed) -> dict[str, Any]:
    return {"uri": name.uri, "media_type": part.media_type, "bytes": sealed.size_bytes, "sha256": sealed.sha256}


def _parsed(task: Task, source: bytes) -> Any:
    try:
        return parse_answer_json(source)
    except ValueError as error:
        raise _broken(task, f"it is not valid JSON: {error}") from None


async def _whole(task: Task, body: Content) -> bytes:
    """The bytes of a JSON answer, read once, so that what is checked is what is staged."""
    whole = body if isinstance(body, bytes) else await asyncio.to_thread(_head, body, JSON_OUTPUT_BYTES_MAX + 1)
    if len(whole) > JSON_OUTPUT_BYTES_MAX:
        raise _too_large(
            f"The JSON answer of task {task.name!r} has more than {JSON_OUTPUT_BYTES_MAX:,} bytes. "
            "Return big data as a part of its own."
        )
    return whole


async def _beginning(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content[:BEGINNING_BYTES]
    return await asyncio.to_thread(_head, content, BEGINNING_BYTES)


def _head(file: Path, bytes_max: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(bytes_max)
    except OSError as error:
        if as_unavailable(error) is not None:
            raise
        raise SeatrialError(OUTPUT_CONTRACT, f"A file of the output cannot be read: {error.strerror}") from None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise SeatrialError(OUTPUT_CONTRACT, f"A file of the output cannot be read: {error.strerror}") from None


async def _off_loop(size_bytes: int, do: Any, *given: Any) -> Any:
    """Small work at once, big work in a thread."""
    return do(*given) if size_bytes <= JSON_PARSED_ON_LOOP_BYTES_MAX else await asyncio.to_thread(do, *given)


def _broken(task: Task, what: str, field: str | None = None) -> SeatrialError:
    message = f"The answer of task {task.name!r} breaks its contract: {what}"
    return SeatrialError(OUTPUT_CONTRACT, message, field=field, details={"task": task.name})


def _too_large(message: str) -> SeatrialError:
    return SeatrialError(OUTPUT_TOO_LARGE, message)
