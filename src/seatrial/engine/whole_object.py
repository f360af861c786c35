"""Reading an object to its end, into memory or a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from seatrial.domain.objects import ObjectName, ObjectRef
from seatrial.ports.object_store import ObjectStore


async def whole_object(
    objects: ObjectStore, what: ObjectName | ObjectRef, place: Callable[[int], Path | None]
) -> bytes | Path:
    """All bytes of an object. `place` is told the size before anything is read: it names a file, or None for memory.

    Raises:
        NoSuchBucket, NoSuchObject, ObjectChanged, and whatever `place` raises.
    """
    reading = await objects.read(what)
    try:
        target = place(reading.info.sealed.size_bytes)
        if target is None:
            return b"".join([chunk async for chunk in reading.chunks])
        await _write_chunks(target, reading.chunks)
        return target
    finally:
        close = getattr(reading.chunks, "aclose", None)
        if close is not None:
            await close()


def new_file(target: Path) -> BinaryIO:
    """A file that was not there, open for writing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.open("xb")


def write_file(target: Path, content: bytes) -> None:
    """The bytes in a file that was not there."""
    with new_file(target) as file:
        file.write(content)


async def _write_chunks(target: Path, chunks: AsyncIterator[bytes]) -> None:
    file = await asyncio.to_thread(new_file, target)
    try:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
