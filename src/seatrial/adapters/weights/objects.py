"""Weights in the server's own object store: an object, or all objects below a prefix."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from seatrial.adapters.weights.source import Opened, no_bytes, unfit
from seatrial.domain.limits import ARCHIVE_MEMBERS_MAX
from seatrial.domain.objects import ObjectName
from seatrial.ports.object_store import ObjectError, ObjectStore


class ObjectSource:
    """`s3://bucket/key`, or `s3://bucket/prefix/`."""

    def __init__(self, uri: str, objects: ObjectStore) -> None:
        """Raises Unproven: not such a URI."""
        try:
            self._name = ObjectName.from_uri(uri)
        except ValueError as error:
            raise unfit(str(error)) from None
        self._objects = objects

    async def files(self) -> list[tuple[str, int | None]]:
        """See the protocol. Keys that end in "/" only stand for folders."""
        name = self._name
        try:
            if not name.key.endswith("/"):
                return [("", (await self._objects.head(name)).sealed.size_bytes)]
            found: list[tuple[str, int | None]] = []
            after: str | None = ""
            while after is not None and len(found) <= ARCHIVE_MEMBERS_MAX:
                page = await self._objects.list(name.bucket, prefix=name.key, after=after)
                sizes = {one.name.key: one.sealed.size_bytes for one in page.objects}
                found += [(key.removeprefix(name.key), size) for key, size in sizes.items() if not key.endswith("/")]
                after = page.next_after
        except ObjectError as error:
            raise self._missing(error) from error
        if not found:
            raise unfit(f"There is no object below {name.uri}")
        return found

    @asynccontextmanager
    async def open(self, name: str, start: int, validator: str | None) -> AsyncIterator[Opened]:
        """See the protocol. The validator is the ETag."""
        target = ObjectName(self._name.bucket, self._name.key + name)
        try:
            info = await self._objects.head(target)
            start = start if validator == info.sealed.etag else 0
            size = info.sealed.size_bytes
            if start == size:
                yield Opened(start, size, info.sealed.etag, no_bytes())
                return
            reading = await self._objects.read(info.ref, start)
            yield Opened(start, size, info.sealed.etag, reading.chunks)
        except ObjectError as error:
            raise self._missing(error) from error

    def _missing(self, error: ObjectError) -> Exception:
        return unfit(f"{self._name.uri} cannot be read ({type(error).__name__})")
