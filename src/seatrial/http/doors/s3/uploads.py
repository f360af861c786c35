"""Operations on multipart uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import structlog
from starlette.responses import Response, StreamingResponse

from seatrial.domain import checksums
from seatrial.domain.checksums import Checksum
from seatrial.domain.errors import SeatrialError
from seatrial.domain.limits import LIST_KEYS_MAX, OBJECT_PUT_BYTES_MAX, S3_QUIET_SECONDS_MAX
from seatrial.domain.objects import ObjectInfo
from seatrial.domain.uploads import Upload
from seatrial.engine.multipart import MultipartUploads
from seatrial.http.dialects.aws_errors import Protocol, internal_failure, unavailable
from seatrial.http.dialects.s3 import conditions, headers, listings, multipart
from seatrial.http.dialects.s3.address import read_copy_source
from seatrial.http.dialects.s3.errors import (
    invalid_argument,
    invalid_request,
    late_error_body,
    no_such_bucket,
    no_such_key,
    precondition_failed,
)
from seatrial.http.dialects.s3.xml import DECLARATION
from seatrial.http.doors.s3.buckets import XML
from seatrial.http.doors.s3.call import Incoming, S3Call, add_to
from seatrial.http.doors.s3.objects import source_info
from seatrial.ports.object_store import ConditionFailed, NoSuchBucket, NoSuchObject, ObjectChanged, ObjectStore
from seatrial.ports.storage import as_unavailable

log = structlog.get_logger(__name__)


class Uploads:
    """Needs the engine's multipart uploads and the store that parts are staged in."""

    def __init__(self, uploads: MultipartUploads, objects: ObjectStore, owner: str, base_url: str) -> None:
        self._uploads = uploads
        self._objects = objects
        self._owner = owner
        self._base_url = base_url

    async def begin(self, call: S3Call) -> Response:
        """CreateMultipartUpload."""
        algorithm, whole = multipart.read_begin(call.words)
        media_type, metadata = headers.read_description(call.words)
        upload = await self._uploads.begin(call.name, media_type, metadata, algorithm, whole)
        told = {} if algorithm is None else {"x-amz-checksum-algorithm": algorithm.upper()}
        return Response(multipart.begun_document(upload), headers=told, media_type=XML)

    async def put_part(self, call: S3Call) -> Response:
        """UploadPart."""
        number = multipart.read_part_number(call.address.query)
        upload = await self._find(call)
        incoming = Incoming(call, upload.checksum_algorithm)
        _check_algorithm(upload, incoming.declared.algorithm)
        sealed = await incoming.stage(self._objects)
        checksum = None if upload.checksum_algorithm is None else incoming.checksum
        part = await self._uploads.add(upload, number, sealed, checksum)
        return Response(headers={"etag": headers.quoted(part.etag), **incoming.kept_checksum()})

    async def copy_part(self, call: S3Call) -> Response:
        """UploadPartCopy: a range of an object, or all of it."""
        number = multipart.read_part_number(call.address.query)
        upload = await self._find(call)
        source = read_copy_source(call.words["x-amz-copy-source"])
        info = await source_info(self._objects, source, call.words)
        start, length = _copy_range(call.words.get(f"{conditions.COPY_SOURCE}range"), info)
        checksum = None
        if upload.checksum_algorithm is not None:
            checksum = checksums.new_checksum(upload.checksum_algorithm)
        try:
            reading = await self._objects.read(info.ref, start, length)
        except (NoSuchObject, ObjectChanged):
            raise no_such_key(source) from None
        try:
            sealed = await self._objects.stage(_summed(reading.chunks, checksum), OBJECT_PUT_BYTES_MAX)
        finally:
            await reading.close()
        value = None if checksum is None else checksums.encoded(checksum.digest())
        part = await self._uploads.add(upload, number, sealed, value)
        return Response(multipart.copied_part_document(part), media_type=XML)

    async def list_parts(self, call: S3Call) -> Response:
        """ListParts."""
        query = call.address.query
        upload = await self._find(call)
        limit = listings.read_count(query, "max-parts", LIST_KEYS_MAX)
        parts, more = await self._uploads.parts(upload, multipart.read_part_marker(query), limit)
        return Response(multipart.parts_document(upload, parts, more, query, self._owner), media_type=XML)

    async def list_uploads(self, call: S3Call) -> Response:
        """ListMultipartUploads."""
        page = multipart.read_upload_page(call.address.query)
        uploads = await self._uploads.uploads(call.bucket)
        return Response(multipart.uploads_document(page, call.bucket, uploads, self._owner), media_type=XML)

    async def abort(self, call: S3Call) -> Response:
        """AbortMultipartUpload."""
        await self._uploads.abort(call.name, call.address.query["uploadId"])
        return Response(status_code=204)

    async def complete(self, call: S3Call) -> Response:
        """CompleteMultipartUpload; when that takes long the answer begins early and is kept alive, as at AWS."""
        condition = headers.read_put_condition(call.words)
        completion = multipart.read_completion(await Incoming(call).document(), call.words, condition)
        upload_id = call.address.query["uploadId"]
        task = asyncio.create_task(self._uploads.complete(call.name, upload_id, completion))
        await asyncio.wait({task}, timeout=S3_QUIET_SECONDS_MAX)
        if not task.done():
            return StreamingResponse(self._kept_alive(call, task), media_type=XML)
        return Response(DECLARATION + multipart.completed_body(task.result(), self._location(call)), media_type=XML)

    async def _kept_alive(self, call: S3Call, task: asyncio.Task[ObjectInfo]) -> AsyncIterator[bytes]:
        yield DECLARATION
        while not task.done():
            yield b" "
            await asyncio.wait({task}, timeout=S3_QUIET_SECONDS_MAX)
        try:
            yield multipart.completed_body(task.result(), self._location(call))
        except SeatrialError as error:
            yield late_error_body(multipart.as_s3(error), call.aws.request_id)
        except ConditionFailed:
            yield late_error_body(precondition_failed("If-None-Match"), call.aws.request_id)
        except NoSuchBucket:
            yield late_error_body(no_such_bucket(call.bucket), call.aws.request_id)
        except Exception as error:
            if as_unavailable(error) is not None:
                yield late_error_body(unavailable(), call.aws.request_id)
                return
            log.exception("completion_failed", request_id=call.aws.request_id)
            yield late_error_body(internal_failure(Protocol.REST_XML), call.aws.request_id)

    async def _find(self, call: S3Call) -> Upload:
        return await self._uploads.find(call.name, call.address.query["uploadId"])

    def _location(self, call: S3Call) -> str:
        return f"{self._base_url}/{call.bucket}/{quote(call.name.key)}"


def _check_algorithm(upload: Upload, declared: str | None) -> None:
    if upload.checksum_algorithm is not None and declared not in (None, upload.checksum_algorithm):
        raise invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.checksum_algorithm}, "
            f"actual checksum Type: {declared}"
        )


def _copy_range(header: str | None, info: ObjectInfo) -> tuple[int, int]:
    if header is None:
        return 0, info.sealed.size_bytes
    asked = conditions.read_range(header, info.sealed.size_bytes)
    last = header.rpartition("-")[2]
    if asked is None or not last.isdigit() or int(last) >= info.sealed.size_bytes:
        raise invalid_argument(
            "x-amz-copy-source-range",
            header,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            f"zero-based offsets of the first and last bytes to copy, within {info.sealed.size_bytes} bytes",
        )
    return asked


async def _summed(chunks: AsyncIterator[bytes], checksum: Checksum | None) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        await add_to(checksum, chunk)
        yield chunk
