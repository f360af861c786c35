"""From a claimed job to the work that its worker gets: read, check, fetch, and put in the form the handler wants."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from seatrial.domain.access import outside_object, reaches_object, read_reach
from seatrial.domain.checking import MediaValue
from seatrial.domain.contract import Contract, MediaForm, MediaSource
from seatrial.domain.credentials import Reach
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import INPUT_CHANGED, INPUT_UNREACHABLE, PAYLOAD_TOO_LARGE, BadInput, SeatrialError
from seatrial.domain.home import Home
from seatrial.domain.jobs import HIDDEN_PREFIX, Job, JobPurpose
from seatrial.domain.json_text import without_mark
from seatrial.domain.limits import (
    BODY_IN_MEMORY_BYTES_MAX,
    INPUT_OBJECT_BYTES_MAX,
    JSON_INPUT_BYTES_MAX,
    JSON_PARSED_ON_LOOP_BYTES_MAX,
    REQUESTS_KEPT_MAX,
    ROW_INLINE_BYTES_MAX,
)
from seatrial.domain.media_types import JSON
from seatrial.domain.objects import ObjectName
from seatrial.domain.work import FIELD_LAYOUTS, Work
from seatrial.engine.media import MediaReader, not_found
from seatrial.engine.request_body import Asked, BodyKind, kind_of, read_request
from seatrial.engine.transfers import Transfer, Transfers
from seatrial.engine.whole_object import whole_object
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectChanged, ObjectStore
from seatrial.ports.urls import UrlReader

Folder = Callable[[], Path]  # a path costs more to make than most requests need it

OUTSIDE = "outside"  # what workers elsewhere get: a body, and no file of this machine
HEARS_ATTRIBUTES = frozenset({"runpod", "aws_lambda", "cog"})  # layouts whose handlers get what else a request had
REACH = HIDDEN_PREFIX + "reach"  # the attribute with what who asked may touch


def reach_of(job: Job) -> Reach:
    """What who asked for the job may touch."""
    return read_reach(job.attributes.get(REACH))


def inputs_folder(token: str, scratch: Path) -> Path:
    """Where the files of one attempt lie; made only when there are any."""
    return scratch / "inputs" / token


async def discard_inputs(token: str, scratch: Path) -> None:
    """Remove the files of one attempt, if it had any."""
    folder = inputs_folder(token, scratch)
    if _is_there(folder):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


class Preparer:
    """Checks requests against a contract, and prepares the work of a job.

    `trial_urls` reads what the requests of trials name: those are the server's own.
    """

    def __init__(
        self,
        objects: ObjectStore,
        urls: UrlReader,
        trial_urls: UrlReader,
        home: Home | None = None,
        transfers: Transfers | None = None,
    ) -> None:
        self._transfers = transfers or Transfers()
        self._objects = objects
        self._home = home
        self._media = {
            JobPurpose.CLIENT: MediaReader(objects, urls),
            JobPurpose.TRIAL: MediaReader(objects, trial_urls),
        }
        self._checked = _Checked()

    def check(
        self, contract: Contract, media_type: str, body: bytes, task: str | None, job_id: str, reach: Reach
    ) -> str | None:
        """Check a body as far as that goes without fetching; the name of its task (None: undeclared contract).

        What it asks for is kept for a while: `prepare` need not read it again.

        Raises:
            BadInput: see `prepare`.
        """
        if not contract.declared:
            return None
        asked = read_request(contract, media_type, body, len(body), task)
        self._check_media(asked, reach)
        if len(body) <= ROW_INLINE_BYTES_MAX:
            self._checked.keep(job_id, contract, asked)
        return asked.task.name

    async def prepare(
        self, job: Job, version: EndpointVersion, contract: Contract, layout: str, token: str, scratch: Path
    ) -> Work:
        """What the worker needs. Files lie in `inputs_folder`; whoever holds the token discards them.

        Raises:
            BadInput: malformed_input, unsupported_media_type, payload_too_large, unknown_task, missing_field,
                invalid_field, unknown_field, input_not_found, input_changed, input_unreachable, media_too_large,
                image_undecodable.
            SeatrialError: media_support_missing.
        """
        work = await self._prepared(job, contract, layout, token, scratch)
        return replace(work, attributes=job.attributes) if layout == OUTSIDE or layout in HEARS_ATTRIBUTES else work

    async def _prepared(self, job: Job, contract: Contract, layout: str, token: str, scratch: Path) -> Work:
        folder = partial(inputs_folder, token, scratch)
        parsed = contract.declared and kind_of(job.input.media_type) is not BodyKind.RAW
        body = await self._body(job, None if parsed else folder)
        if not contract.declared:
            return _work(job, token, job.task, body=body, media_type=job.input.media_type)
        asked = self._checked.take(job.id, contract) or await _asked(contract, job, body)
        try:
            self._check_media(asked, reach_of(job))
            if layout in FIELD_LAYOUTS:
                return await self._for_fields(job, token, asked, folder)
            has_files = layout != OUTSIDE
            return await self._for_body_handlers(job, token, contract, asked, body, folder if has_files else None)
        except SeatrialError as error:
            error.task = asked.task.name
            raise

    def check_object(self, name: ObjectName, reach: Reach, field: str) -> None:
        """An object that a request names is in the reach of who asked. Raises BadInput: input_unreachable."""
        if not reaches_object(reach, name, self._home):
            error = outside_object(reach, name)
            valid = "an object in the key's reach"
            raise BadInput(INPUT_UNREACHABLE, error.message, field=field, valid=valid, details=error.extra)

    def _check_media(self, asked: Asked, reach: Reach) -> None:
        if reach.whole:
            return
        for field, value in asked.request.media.items():
            if isinstance(value.value, ObjectName):
                self.check_object(value.value, reach, field)

    async def _body(self, job: Job, folder: Folder | None) -> bytes | Path:
        """The input's bytes; with a folder, big ones are a file there."""
        ref = job.input.ref
        if ref is None:
            return job.input.inline or b""

        def place(size_bytes: int) -> Path | None:
            limit = JSON_INPUT_BYTES_MAX if folder is None else INPUT_OBJECT_BYTES_MAX
            if size_bytes > limit:
                raise _too_large(size_bytes, limit)
            return folder() / "body" if folder is not None and size_bytes > BODY_IN_MEMORY_BYTES_MAX else None

        try:
            with self._transfers.measured(job.id, Transfer.INPUT):
                return await whole_object(self._objects, ref, place)
        except (NoSuchBucket, NoSuchObject) as error:
            raise not_found(ref.name, no_bucket=isinstance(error, NoSuchBucket), field="input") from None
        except ObjectChanged:
            raise BadInput(
                INPUT_CHANGED,
                f"{ref.name.uri} was replaced after the job had been accepted.",
                field="input",
                valid="an object that stays as it is until its job has ended",
            ) from None

    async def _for_fields(self, job: Job, token: str, asked: Asked, folder: Folder) -> Work:
        reader = self._media[job.purpose]
        fields = dict(asked.request.fields)
        media: dict[str, bytes | Path] = {}
        forms: dict[str, str] = {}
        for name, value in asked.request.media.items():
            form = value.field.form
            if form is MediaForm.PATH:
                media[name], forms[name] = await reader.in_file(value, folder()), form
            elif form is not MediaForm.AS_SENT:
                media[name], forms[name] = await reader.in_memory(value), form
            elif value.source is MediaSource.RAW:
                media[name], forms[name] = await reader.in_memory(value), MediaForm.BYTES
            else:
                await reader.look_at(value)
                fields.update(_as_sent(value, asked.payload))
        return _work(job, token, asked.task.name, fields=fields, media=media, media_forms=forms)

    async def _for_body_handlers(
        self, job: Job, token: str, contract: Contract, asked: Asked, body: bytes | Path, folder: Folder | None
    ) -> Work:
        """A raw body goes on as it is; JSON and forms go on as JSON, with media in the form that was asked for.

        Without a folder, files are base64 text.
        """
        reader = self._media[job.purpose]
        task = asked.task.name
        if asked.kind is BodyKind.RAW:
            for value in asked.request.media.values():
                await reader.look_at(value)
            return _work(job, token, task, body=body, media_type=job.input.media_type)
        payload = _plain_payload(contract, job.task, asked)
        for name, value in asked.request.media.items():
            if value.field.form is MediaForm.AS_SENT and value.source is not MediaSource.RAW:
                await reader.look_at(value)
                payload.update(_as_sent(value, asked.payload))
            elif value.field.form is MediaForm.PATH and folder is not None:
                _put(payload, name, str(await reader.in_file(value, folder())))
            else:
                _put(payload, name, base64.b64encode(await reader.in_memory(value)).decode())
            if value.field.form is not MediaForm.AS_SENT and value.field.key_field:
                payload.pop(value.field.key_field, None)
        if asked.kind is BodyKind.JSON and payload == asked.payload and isinstance(body, bytes):
            return _work(job, token, task, body=without_mark(body), media_type=job.input.media_type)
        return _work(job, token, task, body=await _dumped(payload), media_type=JSON)


class _Checked:
    """Small requests that were checked a moment ago, by the job that they became; the oldest give way."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Contract, Asked]] = OrderedDict()

    def keep(self, job_id: str, contract: Contract, asked: Asked) -> None:
        self._kept[job_id] = (contract, asked)
        if len(self._kept) > REQUESTS_KEPT_MAX:
            self._kept.popitem(last=False)

    def take(self, job_id: str, contract: Contract) -> Asked | None:
        """What the job asks for, if it was checked by this very contract; only once."""
        by, asked = self._kept.pop(job_id, (None, None))
        return asked if by is contract else None


async def _asked(contract: Contract, job: Job, body: bytes | Path) -> Asked:
    media_type, named = job.input.media_type, job.task
    if isinstance(body, Path):
        return read_request(contract, media_type, body, _size_bytes(body), named)
    if len(body) <= JSON_PARSED_ON_LOOP_BYTES_MAX:
        return read_request(contract, media_type, body, len(body), named)
    return await asyncio.to_thread(read_request, contract, media_type, body, len(body), named)


def _plain_payload(contract: Contract, named: str | None, asked: Asked) -> dict[str, Any]:
    """The payload with defaults filled in, and with the task under its own name where that tells it apart."""
    payload = {**asked.payload, **asked.request.fields}
    task_field = contract.task_field
    if asked.task.handler_checks and len(contract.tasks) == 1:
        payload.pop(task_field, None)  # heeded; to the handler it would be one field too many
        return payload
    if task_field in payload or (named is not None and len(contract.tasks) > 1):
        payload[task_field] = asked.task.name
    return payload


def _put(payload: dict[str, Any], name: str, content: str) -> None:
    """In its field, or in its place of a list: `FIELD/NUMBER`."""
    field, slash, number = name.rpartition("/")
    if slash and isinstance(payload.get(field), list):
        payload[field][int(number)] = content
    else:
        payload[name] = content


def _as_sent(value: MediaValue, payload: Mapping[str, Any]) -> dict[str, Any]:
    field = value.field
    names = (field.name, field.key_field, field.bucket_field)
    found = {name: payload[name] for name in names if name and name in payload}
    return found or {field.name: field.default}


async def _dumped(payload: Mapping[str, Any]) -> bytes:
    size = sum(len(one) for one in payload.values() if isinstance(one, str))
    if size <= JSON_PARSED_ON_LOOP_BYTES_MAX:
        return json.dumps(payload).encode()
    return (await asyncio.to_thread(json.dumps, payload)).encode()


def _work(
    job: Job,
    token: str,
    task: str | None,
    *,
    body: bytes | Path = b"",
    media_type: str = JSON,
    fields: Mapping[str, Any] | None = None,
    media: Mapping[str, bytes | Path] | None = None,
    media_forms: Mapping[str, str] | None = None,
) -> Work:
    return Work(
        token=token,
        job_id=job.id,
        timeout_ms=job.invocation_timeout_ms,
        task=task,
        body=body,
        media_type=media_type,
        accept=job.accept,
        attributes=job.shown_attributes,
        fields=fields or {},
        media=media or {},
        media_forms=media_forms or {},
    )


def _too_large(size_bytes: int, limit_bytes: int) -> BadInput:
    return BadInput(
        PAYLOAD_TOO_LARGE,
        f"The input has {size_bytes:,} bytes, more than the {limit_bytes:,} that are allowed.",
        field="input",
        valid=f"at most {limit_bytes:,} bytes; name big media by s3:// URI or URL instead",
    )


def _is_there(folder: Path) -> bool:
    return folder.exists()


def _size_bytes(file: Path) -> int:
    return file.stat().st_size
