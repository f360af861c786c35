"""Samples: the requests that prove a package, as submissions, and what their answers must be."""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema
from urllib3.filepost import encode_multipart_formdata

from seatrial.domain.contract import Contract, Field, MediaSource, Sample, Task
from seatrial.domain.credentials import EVERYTHING
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import Unproven
from seatrial.domain.jobs import Job
from seatrial.domain.limits import (
    INLINE_PAYLOAD_BYTES_MAX,
    LIST_KEYS_MAX,
    OUTSIDE_SAMPLES_BYTES_MAX,
    OUTSIDE_SAMPLES_MAX,
)
from seatrial.domain.media_types import EXTENSIONS
from seatrial.domain.objects import ObjectInfo, ObjectName
from seatrial.engine.submission import Submission
from seatrial.engine.submit import TRIALS_BUCKET
from seatrial.package.manifest import Manifest, with_outside_samples
from seatrial.ports.object_store import NoSuchBucket, ObjectStore

# How a trial sends a sample's file: the first of these that the field takes, and then each of the others once.
SOURCES = (
    MediaSource.URI,
    MediaSource.BASE64,
    MediaSource.DATA_URL,
    MediaSource.KEY,
    MediaSource.RAW,
    MediaSource.URL,
)
_TYPES = {extension: media_type for media_type, extension in EXTENSIONS.items()}


class SampleRequests:
    """Makes submissions of one version's samples. `root` is its unpacked package, `url_of` makes a URL of an object."""

    def __init__(
        self, objects: ObjectStore, version: EndpointVersion, root: Path, url_of: Callable[[ObjectName], str]
    ) -> None:
        self._objects = objects
        self._version = version
        self._root = root
        self._url_of = url_of

    async def submission(
        self,
        contract: Contract,
        task: Task,
        sample: Sample,
        name: str | None = None,
        sources: Mapping[str, MediaSource] = MappingProxyType({}),
        contents: Mapping[str, tuple[str, bytes]] = MappingProxyType({}),
    ) -> Submission:
        """The request of one sample; the files that it names are stored first.

        `name` is an alias to ask for the task by; `sources` are the forms to send media fields in; `contents` are file
        names and bytes to send instead of the sample's own.

        Raises:
            Unproven: a file cannot be sent in any form that its field accepts.
        """
        body, media_type = await self._body(sample), sample.media_type
        if contract.declared and media_type == "application/json":
            payload = (
                {contract.task_field: task.name} | json.loads(body) | ({contract.task_field: name} if name else {})
            )
            raw: dict[str, Path] = {}
            for field_name, file in sample.files.items():
                declared = task.field_named(field_name)
                if field_name in contents and declared is not None:
                    file_name, content = contents[field_name]
                    payload |= await self.media_fields(declared, content, file_name)
                elif sources.get(field_name) is MediaSource.RAW:
                    raw[field_name] = self._root / file
                else:
                    payload |= await self._media(task, field_name, self._root / file, sources.get(field_name))
            body, media_type = await _spelled(payload, raw)
            asked = None if name else task.name  # an alias is asked for as clients do, in the request itself
        else:
            asked = name or task.name or None
            for file_name, content in contents.values():
                body, media_type = content, _media_type_of(file_name)
        return await self.of_body(body, media_type, asked, sample.name)

    async def of_body(self, body: bytes, media_type: str, task: str | None, label: str) -> Submission:
        """A request of the trial with this body; a large one is stored first."""
        submission = Submission(
            endpoint_name=self._version.endpoint_name,
            owner="trial",
            reach=EVERYTHING,
            door="trial",
            media_type=media_type,
            version_id=self._version.id,
            task=task,
        )
        if len(body) <= INLINE_PAYLOAD_BYTES_MAX:
            return replace(submission, body=body)
        return replace(submission, object=await self._keep(body, f"{label}.body", media_type))

    def other_sources(self, declared: Field) -> list[MediaSource]:
        """The forms of a media field, but for the one that its samples are sent in."""
        return [source for source in SOURCES if source in declared.sources][1:]

    async def payload(self, contract: Contract, task: Task, sample: Sample) -> dict[str, Any] | None:
        """The fields of a sample's request as JSON, media fields included; None: it is no JSON object."""
        submission = await self.submission(contract, task, sample)
        if submission.media_type != "application/json" or not isinstance(submission.body, bytes):
            return None
        try:
            found = json.loads(submission.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    async def picture_of(self, sample: Sample, field_name: str) -> bytes:
        """The picture that a sample sends in a field: one of its files, or its body."""
        file = sample.files.get(field_name, sample.input)
        assert file is not None  # noqa: S101  a sample has one of them
        return await asyncio.to_thread((self._root / file).read_bytes)

    async def media_fields(self, declared: Field, content: bytes, file_name: str) -> dict[str, Any]:
        """The request fields that send these bytes, in the first form that the contract accepts.

        Raises:
            Unproven: no form of the field can be sent within a JSON body.
        """
        media_type = _media_type_of(file_name)
        return await self._sent(declared, content, file_name, media_type, None)

    async def expect(self, job: Job, sample: Sample, where: str) -> None:
        """Hold the answer of a sample's job against the JSON Schema that the sample names, if any.

        Raises:
            Unproven: it is something else; names the place in the answer.
        """
        if sample.expect is None:
            return
        schema = json.loads(await asyncio.to_thread((self._root / sample.expect).read_bytes))
        expected = Path(sample.expect).name
        reading = await self._objects.read(job.parts[-1].object)
        try:
            answer = json.loads(b"".join([chunk async for chunk in reading.chunks]))
        except ValueError:
            media_type = job.parts[-1].media_type
            raise _unexpected(job, f"{where}: the answer is {media_type}, and {expected} expects JSON.") from None
        problem = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(answer)), None)
        if problem is not None:
            at = f"at {problem.json_path}: {problem.message[:300]}"
            raise _unexpected(job, f"{where}: the answer is not what {expected} expects, {at}")

    async def _body(self, sample: Sample) -> bytes:
        if sample.input is None:
            return b"{}"
        whole = await asyncio.to_thread((self._root / sample.input).read_bytes)
        if not sample.member:
            return whole
        body = json.loads(whole)
        for step in sample.member:
            body = body[step]
        return json.dumps(body).encode()

    async def _media(self, task: Task, field_name: str, file: Path, source: MediaSource | None) -> dict[str, Any]:
        """The request field for a sample's file, in the form asked for, or the first that the contract accepts."""
        declared = task.field_named(field_name)
        if declared is None:
            raise _refusal(f"A sample has a file for {field_name!r}, which task {task.name!r} does not declare.")
        content = await asyncio.to_thread(file.read_bytes)
        media_type = _media_type_of(file.name)
        return await self._sent(declared, content, file.name, media_type, source)

    async def _sent(
        self, declared: Field, content: bytes, file_name: str, media_type: str, source: MediaSource | None
    ) -> dict[str, Any]:
        source = source or next((one for one in SOURCES if one in declared.sources), None)
        if source in (MediaSource.BASE64, MediaSource.DATA_URL):
            encoded = base64.b64encode(content).decode()
            return {declared.name: encoded if source is MediaSource.BASE64 else f"data:{media_type};base64,{encoded}"}
        name = await self._keep(content, file_name, media_type)
        if source is MediaSource.URI:
            return {declared.name: name.uri}
        if source is MediaSource.URL:
            return {declared.name: self._url_of(name)}
        if source is MediaSource.KEY:
            return _key_fields(declared, name)
        takes = ", ".join(sorted(declared.sources))
        raise _refusal(f"Field {declared.name!r} accepts {takes} only; a sample's file cannot be sent.")

    async def _keep(self, content: bytes, file_name: str, media_type: str) -> ObjectName:
        name = ObjectName(TRIALS_BUCKET, f"{self._version.endpoint_name}/{self._version.id}/{file_name}")
        sealed = await self._objects.stage(content, len(content))
        await self._objects.reveal(sealed, name, media_type, {})
        return name


def _media_type_of(file_name: str) -> str:
    """By its extension; Python itself knows some of them, such as WebP's, in its newest releases only."""
    return _TYPES.get(Path(file_name).suffix) or mimetypes.guess_type(file_name)[0] or "application/octet-stream"


def _key_fields(declared: Field, name: ObjectName) -> dict[str, Any]:
    """A media field by the key of its object, with its bucket where the contract wants that."""
    if declared.key_field is None:
        return {declared.name: {"bucket": name.bucket, "key": name.key}}
    if declared.bucket_field is None:
        return {declared.key_field: {"bucket": name.bucket, "key": name.key}}
    return {declared.key_field: name.key, declared.bucket_field: name.bucket}


async def _spelled(payload: Mapping[str, Any], raw: Mapping[str, Path]) -> tuple[bytes, str]:
    """The request's bytes and media type: JSON, or a form where a field is sent as the bytes themselves."""
    if not raw:
        return json.dumps(payload).encode(), "application/json"
    parts: dict[str, Any] = {}
    for name, value in payload.items():
        parts[name] = value if isinstance(value, str) else json.dumps(value)
    for name, file in raw.items():
        content = await asyncio.to_thread(file.read_bytes)
        media_type = _media_type_of(file.name)
        parts[name] = (file.name, content, media_type)
    return encode_multipart_formdata(parts)


class OutsideSamples:
    """Samples named from outside the package, brought to a folder of their own until `close`."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def added(self, manifest: Manifest, uri: str) -> Manifest:
        """The manifest with the samples under `s3://bucket/prefix` added.

        Raises:
            Unproven: there is nothing under it, or a sample is not usable.
        """
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        prefix = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        self._folder = tempfile.TemporaryDirectory(prefix="seatrial-samples-")
        folder = await asyncio.to_thread(Path(self._folder.name).resolve)
        samples = await self._listed(bucket, prefix, uri)
        if not samples:
            raise _no_samples(f"There are no samples under {uri}.")
        for info in samples:
            reading = await self._objects.read(info.ref)
            content = b"".join([chunk async for chunk in reading.chunks])
            await asyncio.to_thread(_write_inside, folder, info.name.key.removeprefix(prefix), content)
        return with_outside_samples(manifest, folder)

    async def _listed(self, bucket: str, prefix: str, uri: str) -> list[ObjectInfo]:
        samples: list[ObjectInfo] = []
        after: str | None = ""
        while after is not None:
            try:
                page = await self._objects.list(bucket, prefix, after=after, limit=LIST_KEYS_MAX)
            except NoSuchBucket:
                raise _no_samples(f"There is no bucket {bucket!r} for the samples {uri}.") from None
            samples += [info for info in page.objects if not info.name.key.endswith("/")]  # what marks a folder is none
            if len(samples) > OUTSIDE_SAMPLES_MAX:
                raise _no_samples(f"There are more than {OUTSIDE_SAMPLES_MAX:,} objects under {uri}.")
            after = page.next_after
        size_bytes = sum(info.sealed.size_bytes for info in samples)
        if size_bytes > OUTSIDE_SAMPLES_BYTES_MAX:
            most = f"at most {OUTSIDE_SAMPLES_BYTES_MAX:,}"
            raise _no_samples(f"The samples under {uri} have {size_bytes:,} bytes together; {most} are read.")
        return samples

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            self._folder.cleanup()


def _write_inside(folder: Path, name: str, content: bytes) -> None:
    target = (folder / name).resolve()
    if folder not in target.parents:
        raise _no_samples(f"The sample {name!r} has no place inside a folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _unexpected(job: Job, message: str) -> Unproven:
    remedy = "Mend the handler, or the expectation if the answer is right."
    return Unproven("prove", message, details={"remedy": remedy, "job_id": job.id})


def _no_samples(message: str) -> Unproven:
    remedy = (
        "Put them there as TASK/NAME.json, or NAME.json whose task field names the task, each the body of a request; "
        "or deploy without samples from outside."
    )
    return Unproven("inspect", message, field="samples", details={"remedy": remedy})


def _refusal(message: str) -> Unproven:
    return Unproven("prove", message, details={"remedy": "Mend the sample or the contract, then deploy again."})
