"""Objects that came where names are no rows of the database: they are found by looking, a bounded lot at a time.

What was found before is known here, and the store of triggers takes each version of an object once; so a restart, or
another server, finds nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from seatrial.domain.limits import (
    FIND_INTERVAL_MS,
    FIND_PAGES_MAX,
    FIND_UPLOADS_MAX,
    LIST_KEYS_MAX,
    OBJECT_EVENT_KEPT_DAYS,
)
from seatrial.domain.objects import ObjectInfo, ObjectName
from seatrial.domain.triggers import Origin, Trigger
from seatrial.engine.arrivals import ARRIVALS
from seatrial.engine.bells import Bells
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectRefused, ObjectStore
from seatrial.ports.storage import StoreUnavailable
from seatrial.ports.triggers import TriggerStore

log = structlog.get_logger()

_RESOLUTION_MS = 1_000  # S3 tells when an object came in whole seconds


class Finder:
    """Looks for the objects that jobs wait for by name, and for those of standing triggers by listing."""

    def __init__(self, objects: ObjectStore, triggers: TriggerStore, bells: Bells, clock: Clock) -> None:
        self._objects = objects
        self._triggers = triggers
        self._bells = bells
        self._clock = clock
        self._seen: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}  # (bucket, prefix) -> key -> version
        self._cursors: dict[tuple[str, str], str] = {}  # where a listing goes on that was longer than one round
        self._next_upload = 0

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("finder.store_unavailable", error=str(error))
            except Exception:  # the named edge: a defect in one round must not end triggers for good
                log.exception("finder.defect")
            await self._clock.sleep_ms(FIND_INTERVAL_MS)

    async def look(self) -> int:
        """One round; how many events came of it."""
        found = await self._uploads()
        standing = await self._triggers.triggers()
        for place in {(one.bucket, one.prefix) for one in standing}:
            found += await self._listed(place, [one for one in standing if (one.bucket, one.prefix) == place])
        try:
            noted = await self._triggers.note(found)
        except BaseException:
            self._seen.clear()  # they are to be found again
            raise
        if noted:
            self._bells.ring(ARRIVALS)
        return noted

    async def _uploads(self) -> list[ObjectInfo]:
        """Those that have come of the next few that are awaited."""
        awaited = await self._triggers.triggers(origin=Origin.UPLOAD)
        if self._next_upload >= len(awaited):
            self._next_upload = 0
        some = awaited[self._next_upload : self._next_upload + FIND_UPLOADS_MAX]
        self._next_upload += len(some)
        found = []
        for one in some:
            try:
                found.append(await self._objects.head(ObjectName(one.bucket, one.key or "")))
            except (NoSuchBucket, NoSuchObject, ObjectRefused):
                continue
        return found

    async def _listed(self, place: tuple[str, str], triggers: Sequence[Trigger]) -> list[ObjectInfo]:
        """What is new below a prefix since this was last listed."""
        bucket, prefix = place
        since_ms = max(
            min(one.created_at_ms for one in triggers) - _RESOLUTION_MS,
            self._clock.now_ms() - OBJECT_EVENT_KEPT_DAYS * 86_400_000,
        )
        seen = self._seen.setdefault(place, {})
        found = []
        for _ in range(FIND_PAGES_MAX):
            try:
                page = await self._objects.list(bucket, prefix, after=self._cursors.get(place, ""), limit=LIST_KEYS_MAX)
            except (NoSuchBucket, ObjectRefused):
                return []
            for info in page.objects:
                version = (info.sealed.etag, info.modified_at_ms)
                if info.modified_at_ms >= since_ms and seen.get(info.name.key) != version:
                    seen[info.name.key] = version
                    found.append(info)
            self._cursors[place] = page.next_after or ""
            if page.next_after is None:
                break
        return found
