"""Where the names of objects live, and which blobs they hold: the half of an object store that needs transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from seatrial.domain.objects import Bucket, ListPage, ObjectInfo, ObjectName, ObjectRef, PutCondition, Sealed


class ObjectNames(Protocol):
    """Each method is one durable transaction. Errors are those of `ports.object_store`."""

    async def reveal(
        self,
        name: ObjectName,
        sealed: Sealed,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None,
        now_ms: int,
    ) -> ObjectInfo:
        """Give sealed bytes a name. Raises NoSuchBucket, ConditionFailed."""
        ...

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None,
        now_ms: int,
    ) -> ObjectInfo:
        """Share the pinned bytes. Raises NoSuchBucket, NoSuchObject, ObjectChanged, ConditionFailed."""
        ...

    async def head(self, name: ObjectName) -> ObjectInfo:
        """What a name holds, inline bytes included. Raises NoSuchBucket, NoSuchObject."""
        ...

    async def delete(self, name: ObjectName, now_ms: int) -> None:
        """Free a name. Raises NoSuchBucket."""
        ...

    async def page(self, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> ListPage:
        """As `ObjectStore.list`. Raises NoSuchBucket."""
        ...

    async def create_bucket(self, bucket: str, now_ms: int) -> None:
        """Raises BucketExists."""
        ...

    async def delete_bucket(self, bucket: str) -> None:
        """Raises NoSuchBucket, BucketNotEmpty."""
        ...

    async def buckets(self) -> list[Bucket]:
        """All buckets, by name."""
        ...

    async def freed_blobs(self, limit: int) -> list[str]:
        """Blobs whose last name is gone and whose files may still be there."""
        ...

    async def forget_blobs(self, blobs: Sequence[str]) -> None:
        """The files of these freed blobs have been removed."""
        ...

    async def named_in(self, copy: Path) -> list[str]:
        """The blobs that names held when this copy of the database was made."""
        ...

    async def named_blobs(self, blobs: Sequence[str]) -> set[str]:
        """Those of the blobs that some name holds."""
        ...
