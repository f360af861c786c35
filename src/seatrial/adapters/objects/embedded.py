"""The embedded object store: names are rows of the database, blobs are files beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from seatrial.adapters.objects.blobs import BlobFiles, blob_place, sealed_inline
from seatrial.domain.limits import LIST_KEYS_MAX, ROW_INLINE_BYTES_MAX, STREAM_CHUNK_BYTES
from seatrial.domain.objects import Bucket, ListPage, ObjectInfo, ObjectName, ObjectRef, PutCondition, Sealed
from seatrial.ports.backup import Holds, Member
from seatrial.ports.clock import Clock
from seatrial.ports.object_names import ObjectNames
from seatrial.ports.object_store import ObjectChanged, Reading

_OPEN_TRIES = 5  # a name may be given other bytes between its look-up and the opening of its file
_SWEEP_BATCH = 500
BLOBS = "blobs"  # their folder in a data folder


class EmbeddedObjects:
    """`ports.object_store.ObjectStore` on this machine."""

    def __init__(self, names: ObjectNames, blobs: BlobFiles, clock: Clock) -> None:
        self._names = names
        self._blobs = blobs
        self._clock = clock
        self._removing = False
        self._holds = Holds()

    async def stage(
        self, body: AsyncIterator[bytes] | bytes | Path, limit_bytes: int, claim: str | None = None
    ) -> Sealed:
        """Keep small bytes inline and the others in a new blob; a Path is copied in one go by a thread.

        Raises:
            TooLarge: more than limit_bytes came.
            OSError: a Path that is no readable regular file.
        """
        if isinstance(body, Path):
            return await self._blobs.keep_file(body, limit_bytes)
        if isinstance(body, bytes) and len(body) <= min(limit_bytes, ROW_INLINE_BYTES_MAX):
            return sealed_inline(body)
        return await self._blobs.keep(_slices(body) if isinstance(body, bytes) else body, limit_bytes)

    async def reveal(
        self,
        sealed: Sealed,
        name: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None = None,
    ) -> ObjectInfo:
        """Raises NoSuchBucket, ConditionFailed."""
        now_ms = self._clock.now_ms()
        info = await self._names.reveal(name, sealed, media_type, metadata, condition, now_ms)
        await self.remove_freed()
        return info

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None = None,
    ) -> ObjectInfo:
        """The blob is shared. Raises NoSuchBucket, NoSuchObject, ObjectChanged, ConditionFailed."""
        now_ms = self._clock.now_ms()
        info = await self._names.copy(source, target, media_type, metadata, condition, now_ms)
        await self.remove_freed()
        return info

    async def head(self, name: ObjectName) -> ObjectInfo:
        """Raises NoSuchBucket, NoSuchObject."""
        return await self._names.head(name)

    async def read(self, what: ObjectName | ObjectRef, start: int = 0, length: int | None = None) -> Reading:
        """A range beyond the end is cut. Raises NoSuchBucket, NoSuchObject, ObjectChanged."""
        tries = _OPEN_TRIES
        while True:
            info = await self._find(what)
            begin = min(start, info.sealed.size_bytes)
            rest = info.sealed.size_bytes - begin
            size = rest if length is None else min(length, rest)
            try:
                return Reading(info, await self._open(info.sealed, begin, size), begin, size)
            except FileNotFoundError:
                tries -= 1
                if not tries:
                    raise

    async def local_path(self, ref: ObjectRef) -> Path | None:
        """None: the bytes are inline. Raises NoSuchBucket, NoSuchObject, ObjectChanged."""
        info = await self._find(ref)
        return None if info.sealed.blob is None else self._blobs.path(info.sealed.blob)

    async def delete(self, name: ObjectName) -> None:
        """Raises NoSuchBucket."""
        await self._names.delete(name, self._clock.now_ms())
        await self.remove_freed()

    async def buckets(self) -> list[Bucket]:
        """All buckets, by name."""
        return await self._names.buckets()

    async def list(
        self, bucket: str, prefix: str = "", delimiter: str = "", after: str = "", limit: int = LIST_KEYS_MAX
    ) -> ListPage:
        """Raises NoSuchBucket."""
        return await self._names.page(bucket, prefix, delimiter, after, limit)

    async def discard(self, sealed: Sequence[Sealed]) -> None:
        """Remove the files of those that no name holds."""
        blobs = [item.blob for item in sealed if item.blob is not None]
        if blobs and not self._holds.any():  # else they stay until the next start sweeps them away
            named = await self._names.named_blobs(blobs)
            await self._blobs.remove([blob for blob in blobs if blob not in named])

    async def create_bucket(self, bucket: str) -> None:
        """Raises BucketExists."""
        await self._names.create_bucket(bucket, self._clock.now_ms())

    async def delete_bucket(self, bucket: str) -> None:
        """Raises NoSuchBucket, BucketNotEmpty."""
        await self._names.delete_bucket(bucket)

    async def remove_freed(self) -> None:
        """Remove the files of blobs whose last name is gone. Called after each write, and by whoever has time."""
        if self._removing or self._holds.any():
            return  # the one at work goes on until none is left; after a hold, whoever comes next
        self._removing = True
        try:
            while not self._holds.any() and (freed := await self._names.freed_blobs(_SWEEP_BATCH)):
                await self._blobs.remove(freed)
                await self._names.forget_blobs(freed)
        finally:
            self._removing = False

    async def sweep(self) -> int:
        """Remove what earlier runs of the server staged and never named; how many files. For the start."""
        await self.remove_freed()
        removed = 0
        async for blobs in self._blobs.left_by_earlier_runs(_SWEEP_BATCH):
            named = await self._names.named_blobs(blobs)
            orphans = [blob for blob in blobs if blob not in named]
            await self._blobs.remove(orphans)
            removed += len(orphans)
        return removed

    def held(self) -> AbstractContextManager[None]:
        """See ports.backup.Keeper."""
        return self._holds.held()

    async def members(self, database: Path) -> Sequence[Member]:
        """See ports.backup.Keeper."""
        blobs = await self._names.named_in(database)
        return [Member(f"{BLOBS}/{blob_place(blob)}", self._blobs.path(blob)) for blob in blobs]

    async def check(self) -> None:
        """See the port: the names are read, and a blob is written."""
        await self._names.buckets()
        await self._blobs.remove([await self._blobs.trial()])

    async def _find(self, what: ObjectName | ObjectRef) -> ObjectInfo:
        if isinstance(what, ObjectName):
            return await self._names.head(what)
        info = await self._names.head(what.name)
        if info.sealed.etag != what.etag:
            raise ObjectChanged(f"{what.name.uri} has changed")
        return info

    async def _open(self, sealed: Sealed, start: int, length: int) -> AsyncIterator[bytes]:
        if sealed.blob is not None:
            return await self._blobs.open(sealed.blob, start, length)
        return _slices((sealed.inline or b"")[start : start + length])


async def _slices(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), STREAM_CHUNK_BYTES):
        yield data[at : at + STREAM_CHUNK_BYTES]
