"""Operations on objects."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from seatrial.domain.errors import SeatrialError
from seatrial.domain.limits import OBJECT_PUT_BYTES_MAX
from seatrial.domain.objects import ObjectInfo, ObjectName
from seatrial.engine.awaited import AwaitedUploads
from seatrial.http.dialects.s3 import conditions, documents, headers, uploads
from seatrial.http.dialects.s3.address import read_copy_source
from seatrial.http.dialects.s3.errors import (
    entity_too_large,
    invalid_argument,
    invalid_request,
    no_such_bucket,
    no_such_key,
    not_offered,
)
from seatrial.http.doors.s3.buckets import XML
from seatrial.http.doors.s3.call import Incoming, S3Call
from seatrial.http.reading_response import ReadingResponse
from seatrial.ports.object_store import (
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectStore,
    TooLarge,
)

_TRIES = 5  # an object may be replaced between the look at it and the reading of it


class Objects:
    """Needs the store, what jobs wait for, and who owns it."""

    def __init__(self, objects: ObjectStore, uploads: AwaitedUploads, owner: str) -> None:
        self._objects = objects
        self._uploads = uploads
        self._owner = owner

    async def put(self, call: S3Call) -> Response:
        """PutObject; the name appears with all its bytes, or not at all."""
        incoming = Incoming(call)
        media_type, metadata = headers.read_description(call.words)
        condition = headers.read_put_condition(call.words)
        await self._objects.list(call.bucket, limit=1)  # before 5 GiB are sent to no bucket
        bytes_max = OBJECT_PUT_BYTES_MAX
        if (job_id := call.address.query.get(uploads.JOB)) is not None:
            media_type, bytes_max = await self._awaited(call, job_id, media_type)
        try:
            sealed = await incoming.stage(self._objects, bytes_max)
        except TooLarge:
            raise entity_too_large(limit_bytes=bytes_max) from None
        kept = incoming.kept_checksum()
        try:
            info = await self._objects.reveal(sealed, call.name, media_type, metadata | kept, condition)
        except (NoSuchBucket, ConditionFailed):
            await self._objects.discard([sealed])
            if condition is not None and condition.if_match is not None:
                await self._objects.head(call.name)  # If-Match on a free name is NoSuchKey
            raise
        told = {"etag": headers.quoted(info.sealed.etag), **kept}
        for value in kept.values():
            told["x-amz-checksum-type"] = headers.checksum_type(value)
        return Response(headers=told)

    async def _awaited(self, call: S3Call, job_id: str, media_type: str) -> tuple[str, int]:
        """The media type, and the most bytes, of an object that a job waits for. Raises AwsError."""
        said = call.words.get("x-amz-decoded-content-length") or call.words.get("content-length", "")
        given = call.words.get("content-type")
        try:
            wanted = await self._uploads.check(job_id, call.name, given, int(said) if said.isdecimal() else None)
        except SeatrialError as error:
            raise uploads.refusal(error) from None
        return wanted or media_type, await self._uploads.bytes_max(job_id) or OBJECT_PUT_BYTES_MAX

    async def get(self, call: S3Call) -> Response:
        """GetObject: all of it or a range, streamed."""
        for _ in range(_TRIES):
            info = await self._objects.head(call.name)
            answer = _Answer(call, info)
            if answer.status == 304:
                return Response(status_code=304, headers=answer.headers)
            try:
                reading = await self._objects.read(info.ref, answer.start, answer.length)
            except (ObjectChanged, NoSuchObject):
                continue
            return ReadingResponse(reading, answer.status, answer.headers)
        raise no_such_key(call.name)

    async def head(self, call: S3Call) -> Response:
        """HeadObject."""
        answer = _Answer(call, await self._objects.head(call.name))
        return Response(status_code=answer.status, headers=answer.headers)

    async def delete(self, call: S3Call) -> Response:
        """DeleteObject; a free name is no error."""
        for word in ("if-match", "x-amz-if-match-last-modified-time", "x-amz-if-match-size"):
            if word in call.words:
                raise not_offered(f"DeleteObject with {word}")
        await self._objects.delete(call.name)
        return Response(status_code=204)

    async def copy(self, call: S3Call) -> Response:
        """CopyObject: the bytes are shared, not copied."""
        source = read_copy_source(call.words["x-amz-copy-source"])
        replace = _replaces_metadata(call.words)
        if source == call.name and not replace:
            raise invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes."
            )
        condition = headers.read_put_condition(call.words)
        for _ in range(_TRIES):
            info = await source_info(self._objects, source, call.words)
            media_type, metadata = info.media_type, dict(info.metadata)
            if replace:
                media_type, metadata = headers.read_description(call.words)
                metadata |= headers.checksums_kept(info)
            try:
                copied = await self._objects.copy(info.ref, call.name, media_type, metadata, condition)
            except (ObjectChanged, NoSuchObject):
                continue
            return Response(documents.copy_document(copied), media_type=XML)
        raise no_such_key(source)

    async def access(self, call: S3Call) -> Response:
        """GetObjectAcl: the owner's alone."""
        await self._objects.head(call.name)
        return Response(documents.access_document(self._owner), media_type=XML)

    async def tagging(self, call: S3Call) -> Response:
        """GetObjectTagging: there are none."""
        await self._objects.head(call.name)
        return Response(documents.tags_document(), media_type=XML)


class _Answer:
    """Status, headers and range of a GET or HEAD. Raises AwsError: PreconditionFailed, InvalidRange."""

    def __init__(self, call: S3Call, info: ObjectInfo) -> None:
        words = call.words
        unmodified = conditions.is_unmodified(words, info)
        asked = None if unmodified else conditions.read_range(words.get("range"), info.sealed.size_bytes)
        whole = asked is None
        self.status = 304 if unmodified else 200 if whole else 206
        self.start, self.length = asked or (0, info.sealed.size_bytes)
        # A 304 has no bytes to sum: clients would check their empty body against the object's checksum.
        summed = whole and not unmodified
        with_checksum = summed and words.get("x-amz-checksum-mode", "").upper() == "ENABLED"
        self.headers = headers.told(info, with_checksum=with_checksum) | headers.read_overrides(call.address.query)
        if unmodified:
            return
        self.headers["content-length"] = str(self.length)
        if not whole:
            end = self.start + self.length - 1
            self.headers["content-range"] = f"bytes {self.start}-{end}/{info.sealed.size_bytes}"


async def source_info(objects: ObjectStore, source: ObjectName, words: Mapping[str, str]) -> ObjectInfo:
    """The source of a copy, if its conditions hold.

    Raises:
        AwsError: NoSuchBucket, NoSuchKey (of the source), PreconditionFailed.
    """
    try:
        info = await objects.head(source)
    except NoSuchBucket:
        raise no_such_bucket(source.bucket) from None
    except NoSuchObject:
        raise no_such_key(source) from None
    conditions.check_copy_source(words, info)
    return info


def _replaces_metadata(words: Mapping[str, str]) -> bool:
    directive = words.get("x-amz-metadata-directive", "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument("x-amz-metadata-directive", directive, "Unknown metadata directive.")
    return directive == "REPLACE"
