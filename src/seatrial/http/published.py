"""The bytes of what a job has published, for doors that put them into their own documents."""

from __future__ import annotations

from seatrial.domain.jobs import Job, Part
from seatrial.engine.inspect import Inspector
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectStore


async def published_bytes(inspector: Inspector, objects: ObjectStore, job: Job, part: Part) -> bytes | None:
    """The whole part; None: it was deleted or replaced since. Look at its size first."""
    at_hand = inspector.small_part(job.id, part.name)
    if at_hand is not None:
        return at_hand
    try:
        reading = await objects.read(part.object)
    except (NoSuchObject, NoSuchBucket):
        return None
    if reading.info.sealed.sha256 != part.sha256:
        await reading.close()
        return None
    return b"".join([chunk async for chunk in reading.chunks])
