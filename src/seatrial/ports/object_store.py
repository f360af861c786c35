"""Where bytes live: names are rows, blobs are immutable files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seatrial.domain.objects import Bucket, ListPage, ObjectInfo, ObjectName, ObjectRef, PutCondition, Sealed


class ObjectError(Exception):
    """The root of what an object store refuses."""


class NoSuchBucket(ObjectError):
    """The bucket is not there."""


class NoSuchObject(ObjectError):
    """The name is free."""


class ObjectChanged(ObjectError):
    """The name no longer holds the pinned bytes."""


class ConditionFailed(ObjectError):
    """If-None-Match or If-Match did not hold."""


class StagingGone(ObjectError):
    """What was staged is no longer there: somebody published it, or it was given up."""


class ObjectRefused(ObjectError):
    """The store does not allow this, or cannot hold such a name."""


class BucketNotEmpty(ObjectError):
    """A bucket with objects cannot be deleted."""


class BucketExists(ObjectError):
    """The bucket is there already."""


class TooLarge(ObjectError):
    """The stream passed its limit; nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An open object: what it is, and its bytes (or those of the range asked for, in chunks of at most 1 MiB).

    The bytes stay readable until `chunks` is exhausted or closed, even when the name is deleted meanwhile.
    """

    info: ObjectInfo
    chunks: AsyncIterator[bytes]
    start: int
    length: int

    async def close(self) -> None:
        """Read no further; what holds the bytes open is let go of. After the last chunk this does nothing."""
        close = getattr(self.chunks, "aclose", None)
        if close is not None:
            await close()


class ObjectStore(Protocol):
    """Stage, reveal, read, discard; and the names themselves.

    Every method may raise `ports.storage.StoreUnavailable`: the disk is full, the service is away. Each may be
    asked again.
    """

    async def stage(
        self, body: AsyncIterator[bytes] | bytes | Path, limit_bytes: int, claim: str | None = None
    ) -> Sealed:
        """Make bytes durable without showing them. Each call makes a new write-once blob.

        A Path is copied (its writer may still hold it open), never moved or linked. `claim` is the token (or the job's
        id) that they are staged for: they stay until they are discarded, as long as that claim or its publication
        lives. Without one, they are revealed at once.

        Raises:
            TooLarge: more than limit_bytes came; what was written is removed.
        """
        ...

    async def reveal(
        self,
        sealed: Sealed,
        name: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None = None,
    ) -> ObjectInfo:
        """Give sealed bytes a name, atomically replacing what it named. Repeatable.

        Raises:
            NoSuchBucket, ConditionFailed, ObjectRefused
            StagingGone: they were discarded, and the name does not hold them.
        """
        ...

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None = None,
    ) -> ObjectInfo:
        """Give the pinned bytes another name too, without reading them where that can be avoided.

        Raises:
            NoSuchBucket, NoSuchObject, ConditionFailed
            ObjectChanged: the source no longer holds those bytes.
        """
        ...

    async def head(self, name: ObjectName) -> ObjectInfo:
        """What a name holds.

        Raises:
            NoSuchBucket, NoSuchObject
        """
        ...

    async def read(self, what: ObjectName | ObjectRef, start: int = 0, length: int | None = None) -> Reading:
        """Open a name, or the very bytes that a reference pinned.

        Raises:
            NoSuchBucket, NoSuchObject
            ObjectChanged: a reference whose bytes the name no longer holds.
        """
        ...

    async def local_path(self, ref: ObjectRef) -> Path | None:
        """The immutable file that holds these bytes, if they lie in one on this machine: open it read-only.

        Raises:
            NoSuchBucket, NoSuchObject, ObjectChanged
        """
        ...

    async def delete(self, name: ObjectName) -> None:
        """Free a name; a free name is no error. Raises NoSuchBucket."""
        ...

    async def list(
        self, bucket: str, prefix: str = "", delimiter: str = "", after: str = "", limit: int = 1000
    ) -> ListPage:
        """Names in UTF-8 byte order, those after `after` (a key, or a common prefix that is skipped whole).

        The objects of a listing come without their inline bytes.

        Raises:
            NoSuchBucket
        """
        ...

    async def discard(self, sealed: Sequence[Sealed]) -> None:
        """Remove sealed bytes that no name holds."""
        ...

    async def create_bucket(self, bucket: str) -> None:
        """Raises BucketExists."""
        ...

    async def delete_bucket(self, bucket: str) -> None:
        """Raises NoSuchBucket, BucketNotEmpty."""
        ...

    async def buckets(self) -> Sequence[Bucket]:
        """All buckets, by name."""
        ...

    async def check(self) -> None:
        """Make bytes durable and remove them. Raises StoreUnavailable: no object could be kept now."""
        ...
