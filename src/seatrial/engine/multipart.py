"""Multipart uploads on any object store: parts are objects of a bucket that no client can name.

`open/<upload>` describes an upload, `parts/<upload>/<number>` are its parts, `done/<upload>` remembers a
completion for a while, so that a client that lost the answer gets it again. Everything is durable when the
call returns, and what an interrupted call leaves is dropped by `expire`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import pairwise

from seatrial.domain import checksums
from seatrial.domain.checksums import Checksum
from seatrial.domain.errors import BadInput, Busy, NotFound
from seatrial.domain.limits import (
    KIB,
    LIST_KEYS_MAX,
    MULTIPART_COMPLETED_SECONDS,
    MULTIPART_PART_BYTES_MIN,
    MULTIPART_PARTS_MAX,
    MULTIPART_UPLOAD_SECONDS_MAX,
    MULTIPART_UPLOADS_OPEN_MAX,
    OBJECT_BYTES_MAX,
)
from seatrial.domain.objects import ListPage, ObjectInfo, ObjectName, Sealed
from seatrial.domain.uploads import Completion, Part, Upload
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import (
    BucketExists,
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectStore,
)

UPLOADS_BUCKET = ".uploads"  # no legal bucket name begins with a dot
UPLOAD_NOT_FOUND = "upload_not_found"
INVALID_PART = "invalid_part"
INVALID_PART_ORDER = "invalid_part_order"
PART_TOO_SMALL = "part_too_small"
CHECKSUM_MISMATCH = "checksum_mismatch"
TOO_MANY_UPLOADS = "too_many_uploads"

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_RECORD_BYTES_MAX = 64 * KIB
_RECORD = "application/json"
_LOOKS_AT_ONCE = 16


class MultipartUploads:
    """Begin, add parts, list, complete, abort, expire."""

    def __init__(self, objects: ObjectStore, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._completing: dict[tuple[str, Completion], asyncio.Task[ObjectInfo]] = {}

    async def begin(
        self,
        name: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        checksum_algorithm: str | None = None,
        whole_checksum: bool = False,
    ) -> Upload:
        """Begin an upload; the parts' checksums are of that algorithm.

        Raises:
            NoSuchBucket
            Busy: too_many_uploads.
        """
        await self._objects.list(name.bucket, limit=1)
        await self._make_room()
        upload = Upload(
            id=secrets.token_hex(16),
            name=name,
            media_type=media_type,
            metadata=dict(metadata),
            created_at_ms=self._clock.now_ms(),
            checksum_algorithm=checksum_algorithm,
            whole_checksum=whole_checksum,
        )
        await self._record("open", upload)
        return upload

    async def find(self, name: ObjectName, upload_id: str) -> Upload:
        """An open upload of that name. Raises NotFound(upload_not_found)."""
        upload = await self._recorded("open", upload_id)
        if upload is None or upload.name != name:
            raise _not_found(upload_id)
        return upload

    async def add(self, upload: Upload, number: int, sealed: Sealed, checksum: str | None = None) -> Part:
        """Give the upload a staged part, in place of an earlier one of that number. Raises BadInput."""
        if not 1 <= number <= MULTIPART_PARTS_MAX:
            raise BadInput(
                INVALID_PART, f"there is no part {number}", field="partNumber", valid=f"1 to {MULTIPART_PARTS_MAX}"
            )
        # A part's ETag is the MD5 of its bytes; what the store makes of it may be another one.
        marks = {"etag": sealed.etag} if checksum is None else {"etag": sealed.etag, "checksum": checksum}
        return _part(await self._objects.reveal(sealed, _part_name(upload.id, number), "", marks))

    async def parts(self, upload: Upload, after: int = 0, limit: int = LIST_KEYS_MAX) -> tuple[list[Part], bool]:
        """Parts by number, those after `after`; and whether there are more."""
        page = await self._objects.list(
            UPLOADS_BUCKET, _parts_prefix(upload.id), after=_part_name(upload.id, after).key, limit=limit
        )
        infos = await self._described(page.objects)
        return [_part(info) for info in infos], page.next_after is not None

    async def uploads(self, bucket: str) -> list[Upload]:
        """The open uploads of a bucket, by key. Raises NoSuchBucket."""
        await self._objects.list(bucket, limit=1)
        found = [upload for upload in await self._all("open") if upload.name.bucket == bucket]
        return sorted(found, key=lambda upload: (upload.name.key.encode(), upload.created_at_ms, upload.id))

    async def complete(self, name: ObjectName, upload_id: str, completion: Completion) -> ObjectInfo:
        """Make the object of its parts. It goes on when the caller stops waiting; asked again, it is joined.

        Raises:
            NotFound: upload_not_found.
            BadInput: invalid_part, invalid_part_order, part_too_small, checksum_mismatch.
            NoSuchBucket, ConditionFailed
        """
        key = (upload_id, completion)
        task = self._completing.get(key)
        if task is None:
            task = asyncio.create_task(self._complete(name, upload_id, completion))
            self._completing[key] = task
            task.add_done_callback(lambda done: self._completed(key, done))
        return await asyncio.shield(task)

    async def abort(self, name: ObjectName, upload_id: str) -> None:
        """Drop an upload and its parts. Raises NotFound(upload_not_found)."""
        upload = await self.find(name, upload_id)
        await self._forget("open", upload.id)
        await self._drop_parts(upload.id)

    async def expire(self) -> int:
        """Drop uploads that are too old, what is left of dropped ones, and old memories of completions."""
        now_ms = self._clock.now_ms()
        kept, dropped = set(), 0
        for upload in await self._all("open"):
            if now_ms - upload.created_at_ms <= MULTIPART_UPLOAD_SECONDS_MAX * 1000:
                kept.add(upload.id)
                continue
            await self._forget("open", upload.id)
            dropped += 1
        for upload_id in await self._with_parts():
            if upload_id not in kept and await self._recorded("open", upload_id) is None:
                await self._drop_parts(upload_id)
        for info in await self._infos("done/"):
            if now_ms - info.modified_at_ms > MULTIPART_COMPLETED_SECONDS * 1000:
                await self._objects.delete(info.name)
        return dropped

    # ------------------------------------------------------------ completing

    def _completed(self, key: tuple[str, Completion], done: asyncio.Task[ObjectInfo]) -> None:
        self._completing.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever still waits is told by the shield; nobody else need be

    async def _complete(self, name: ObjectName, upload_id: str, completion: Completion) -> ObjectInfo:
        earlier = await self._recorded("done", upload_id)
        if earlier is not None and earlier.name == name:
            return await self._completed_before(earlier)
        upload = await self.find(name, upload_id)
        parts = await self._chosen(upload, completion)
        whole = None
        if upload.checksum_algorithm is not None and upload.whole_checksum:
            whole = checksums.new_checksum(upload.checksum_algorithm)
        try:
            sealed = await self._objects.stage(self._joined(parts, whole), OBJECT_BYTES_MAX)
        except (NoSuchObject, ObjectChanged) as changed:
            raise BadInput(INVALID_PART, f"a part changed during the completion: {changed}") from changed
        try:
            info = await self._reveal(upload, completion, parts, sealed, whole)
        except (BadInput, NoSuchBucket, ConditionFailed):
            await self._objects.discard([sealed])
            raise
        await self._record("done", replace(upload, completed_etag=info.sealed.etag))
        await self._forget("open", upload.id)
        await self._drop_parts(upload.id)
        return info

    async def _completed_before(self, upload: Upload) -> ObjectInfo:
        try:
            info = await self._objects.head(upload.name)
        except (NoSuchBucket, NoSuchObject):
            raise _not_found(upload.id) from None
        if info.sealed.etag != upload.completed_etag:
            raise _not_found(upload.id)
        return info

    async def _chosen(self, upload: Upload, completion: Completion) -> list[ObjectInfo]:
        """The parts that the client named, if they are all there as it thinks."""
        numbers = [claimed.number for claimed in completion.parts]
        if not numbers:
            raise BadInput(INVALID_PART, "a completion names at least one part", field="Part")
        for earlier, later in pairwise(numbers):
            if later <= earlier:
                raise BadInput(INVALID_PART_ORDER, f"part {later} is named after part {earlier}", field="PartNumber")
        infos = await self._described(await self._infos(_parts_prefix(upload.id)))
        held = {_number(info): info for info in infos}
        for claimed in completion.parts:
            info = held.get(claimed.number)
            if info is None or _etag(info) != claimed.etag:
                raise _invalid_part(claimed.number)
            if claimed.checksum is not None and info.metadata.get("checksum") != claimed.checksum:
                raise _invalid_part(claimed.number)
        chosen = [held[number] for number in numbers]
        for info in chosen[:-1]:
            if info.sealed.size_bytes < MULTIPART_PART_BYTES_MIN:
                raise _too_small(info)
        return chosen

    async def _described(self, listed: Sequence[ObjectInfo]) -> list[ObjectInfo]:
        """The parts with what is kept beside them, which some services do not tell in a listing."""
        if all("etag" in info.metadata for info in listed):
            return list(listed)
        turns = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def look(info: ObjectInfo) -> ObjectInfo:
            async with turns:
                return await self._objects.head(info.name)

        return await asyncio.gather(*(look(info) for info in listed))

    async def _joined(self, parts: Sequence[ObjectInfo], whole: Checksum | None) -> AsyncIterator[bytes]:
        for part in parts:
            reading = await self._objects.read(part.ref)
            try:
                async for chunk in reading.chunks:
                    if whole is not None:
                        await asyncio.to_thread(whole.update, chunk)
                    yield chunk
            finally:
                await reading.close()

    async def _reveal(
        self,
        upload: Upload,
        completion: Completion,
        parts: Sequence[ObjectInfo],
        sealed: Sealed,
        whole: Checksum | None,
    ) -> ObjectInfo:
        if completion.size_bytes is not None and completion.size_bytes != sealed.size_bytes:
            raise BadInput(CHECKSUM_MISMATCH, f"the parts make {sealed.size_bytes} bytes", field="size")
        metadata = dict(upload.metadata)
        checksum = _checksum(upload, parts, whole)
        if checksum is not None:
            if completion.checksum is not None and completion.checksum.partition("-")[0] != checksum.partition("-")[0]:
                raise BadInput(CHECKSUM_MISMATCH, f"the object's checksum is {checksum}", field="checksum")
            metadata[f"x-amz-checksum-{upload.checksum_algorithm}"] = checksum
        digests = b"".join(bytes.fromhex(_etag(part)) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        return await self._objects.reveal(
            replace(sealed, etag=etag), upload.name, upload.media_type, metadata, completion.condition
        )

    # ------------------------------------------------------------ the hidden bucket

    async def _make_room(self) -> None:
        """The hidden bucket, with room for one more upload. Raises Busy."""
        try:
            await self._objects.list(UPLOADS_BUCKET, limit=1)
        except NoSuchBucket:
            await self._make_bucket()
        if len(await self._infos("open/")) < MULTIPART_UPLOADS_OPEN_MAX:
            return
        if not await self.expire():
            raise Busy(
                TOO_MANY_UPLOADS,
                f"{MULTIPART_UPLOADS_OPEN_MAX} multipart uploads are open: complete or abort some of them",
                retry_after_seconds=60,
            )

    async def _make_bucket(self) -> None:
        try:
            await self._objects.create_bucket(UPLOADS_BUCKET)
        except BucketExists:
            pass  # another caller was first

    async def _infos(self, prefix: str) -> list[ObjectInfo]:
        return [info async for page in self._pages(prefix) for info in page.objects]

    async def _with_parts(self) -> list[str]:
        pages = self._pages("parts/", delimiter="/")
        return [prefix.split("/")[1] async for page in pages for prefix in page.prefixes]

    async def _pages(self, prefix: str, delimiter: str = "") -> AsyncIterator[ListPage]:
        after: str | None = ""
        while after is not None:
            try:
                page = await self._objects.list(UPLOADS_BUCKET, prefix, delimiter, after)
            except NoSuchBucket:
                return  # nothing has been uploaded in parts yet
            yield page
            after = page.next_after

    async def _all(self, shelf: str) -> list[Upload]:
        recorded = [await self._recorded(shelf, info.name.key.split("/")[1]) for info in await self._infos(shelf + "/")]
        return [upload for upload in recorded if upload is not None]

    async def _record(self, shelf: str, upload: Upload) -> None:
        body = json.dumps(asdict(upload)).encode()
        sealed = await self._objects.stage(body, _RECORD_BYTES_MAX)
        await self._objects.reveal(sealed, ObjectName(UPLOADS_BUCKET, f"{shelf}/{upload.id}"), _RECORD, {})

    async def _recorded(self, shelf: str, upload_id: str) -> Upload | None:
        if not _UPLOAD_ID.fullmatch(upload_id):
            return None
        try:
            reading = await self._objects.read(ObjectName(UPLOADS_BUCKET, f"{shelf}/{upload_id}"))
        except (NoSuchBucket, NoSuchObject):
            return None
        members = json.loads(b"".join([chunk async for chunk in reading.chunks]))
        return Upload(**(members | {"name": ObjectName(**members["name"])}))

    async def _forget(self, shelf: str, upload_id: str) -> None:
        await self._objects.delete(ObjectName(UPLOADS_BUCKET, f"{shelf}/{upload_id}"))

    async def _drop_parts(self, upload_id: str) -> None:
        for info in await self._infos(_parts_prefix(upload_id)):
            await self._objects.delete(info.name)


def _checksum(upload: Upload, parts: Sequence[ObjectInfo], whole: Checksum | None) -> str | None:
    """The object's checksum, when it was asked for and every part has one."""
    if upload.checksum_algorithm is None:
        return None
    if whole is not None:
        return checksums.encoded(whole.digest())
    digests = [part.metadata.get("checksum") for part in parts]
    known = [digest for digest in digests if digest is not None]
    return checksums.of_parts(upload.checksum_algorithm, known) if len(known) == len(digests) else None


def _parts_prefix(upload_id: str) -> str:
    return f"parts/{upload_id}/"


def _part_name(upload_id: str, number: int) -> ObjectName:
    return ObjectName(UPLOADS_BUCKET, f"{_parts_prefix(upload_id)}{number:05d}")


def _number(info: ObjectInfo) -> int:
    return int(info.name.key.rpartition("/")[2])


def _part(info: ObjectInfo) -> Part:
    return Part(_number(info), info.sealed.size_bytes, _etag(info), info.modified_at_ms, info.metadata.get("checksum"))


def _etag(info: ObjectInfo) -> str:
    return info.metadata.get("etag", info.sealed.etag)


def _not_found(upload_id: str) -> NotFound:
    return NotFound(UPLOAD_NOT_FOUND, f"there is no open upload {upload_id[:64]!r} of this name")


def _invalid_part(number: int) -> BadInput:
    return BadInput(
        INVALID_PART,
        f"part {number} is missing, or its ETag or checksum is not the one named",
        field="Part",
        details={"part_number": number},
    )


def _too_small(info: ObjectInfo) -> BadInput:
    return BadInput(
        PART_TOO_SMALL,
        f"part {_number(info)} has {info.sealed.size_bytes} bytes: every part but the last has at least "
        f"{MULTIPART_PART_BYTES_MIN}",
        field="Part",
        details={"part_number": _number(info), "size_bytes": info.sealed.size_bytes},
    )
