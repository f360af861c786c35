"""Samples: the requests that prove a package, as submissions, and what their answers must be."""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema

from seatrial.domain.contract import Contract, MediaSource, Sample, Task
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import Unproven
from seatrial.domain.jobs import Job
from seatrial.domain.limits import INLINE_PAYLOAD_BYTES_MAX, LIST_KEYS_MAX
from seatrial.domain.objects import ObjectName
from seatrial.engine.submission import Submission
from seatrial.engine.submit import TRIALS_BUCKET
from seatrial.package.manifest import Manifest, with_outside_samples
from seatrial.ports.object_store import NoSuchBucket, ObjectStore


class SampleRequests:
    """Makes submissions of one version's samples. `root` is its unpacked package."""

    def __init__(self, objects: ObjectStore, version: EndpointVersion, root: Path) -> None:
        self._objects = objects
        self._version = version
        self._root = root

    async def submission(self, contract: Contract, task: Task, sample: Sample) -> Submission:
        """The request of one sample; the files that it names are stored first.

        Raises:
            Unproven: a file cannot be sent in any form that its field accepts.
        """
        body, media_type = await self._body(sample), sample.media_type
        if contract.declared and media_type == "application/json":
            payload = {contract.task_field: task.name} | json.loads(body)
            for field_name, file in sample.files.items():
                payload |= await self._media(task, field_name, self._root / file)
            body = json.dumps(payload).encode()
        submission = Submission(
            endpoint_name=self._version.endpoint_name,
            owner="trial",
            door="trial",
            media_type=media_type,
            version_id=self._version.id,
            task=task.name or None,
        )
        if len(body) <= INLINE_PAYLOAD_BYTES_MAX:
            return replace(submission, body=body)
        return replace(submission, object=await self._keep(body, f"{sample.name}.body", media_type))

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
        return await asyncio.to_thread((self._root / sample.input).read_bytes)

    async def _media(self, task: Task, field_name: str, file: Path) -> dict[str, Any]:
        """The request field for a sample's file, in the first form that the contract accepts."""
        declared = task.field_named(field_name)
        if declared is None:
            raise _refusal(f"A sample has a file for {field_name!r}, which task {task.name!r} does not declare.")
        content = await asyncio.to_thread(file.read_bytes)
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        encoded = base64.b64encode(content).decode()
        if MediaSource.URI in declared.sources:
            return {field_name: (await self._keep(content, file.name, media_type)).uri}
        if MediaSource.BASE64 in declared.sources:
            return {field_name: encoded}
        if MediaSource.DATA_URL in declared.sources:
            return {field_name: f"data:{media_type};base64,{encoded}"}
        if MediaSource.KEY in declared.sources:
            name = await self._keep(content, file.name, media_type)
            return {field_name: {"bucket": name.bucket, "key": name.key}}
        raise _refusal(
            f"Field {field_name!r} accepts {', '.join(sorted(declared.sources))} only; a sample's file cannot be sent."
        )

    async def _keep(self, content: bytes, file_name: str, media_type: str) -> ObjectName:
        name = ObjectName(TRIALS_BUCKET, f"{self._version.endpoint_name}/{self._version.id}/{file_name}")
        sealed = await self._objects.stage(content, len(content))
        await self._objects.reveal(sealed, name, media_type, {})
        return name


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
        try:
            page = await self._objects.list(bucket, prefix, limit=LIST_KEYS_MAX)
        except NoSuchBucket:
            raise _no_samples(f"There is no bucket {bucket!r} for the samples {uri}.") from None
        samples = [info for info in page.objects if not info.name.key.endswith("/")]  # what marks a folder is none
        if not samples:
            raise _no_samples(f"There are no samples under {uri}.")
        for info in samples:
            reading = await self._objects.read(info.ref)
            content = b"".join([chunk async for chunk in reading.chunks])
            await asyncio.to_thread(_write_inside, folder, info.name.key.removeprefix(prefix), content)
        return with_outside_samples(manifest, folder)

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
