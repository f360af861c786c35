"""Remove what has been kept long enough: ended jobs, the server's own objects, idempotency keys, unused packages.

Objects in the server's own buckets go by their age: a result is as old as its job's end, an input stays while any job
that is kept names it. Objects in other buckets are their owners' and stay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from seatrial.domain import commands as c
from seatrial.domain.limits import LIST_KEYS_MAX, RETAIN_BATCH, RETAIN_INTERVAL_SECONDS
from seatrial.domain.objects import ListPage, ObjectInfo
from seatrial.engine.submit import INPUTS_BUCKET, RESULTS_BUCKET, TRIALS_BUCKET
from seatrial.ports.clock import Clock
from seatrial.ports.job_store import JobStore
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectStore
from seatrial.ports.storage import as_unavailable

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in milliseconds: jobs and keys from their job's end, the rest from its last use."""

    jobs_ms: int
    keys_ms: int
    unused_ms: int


class Unused(Protocol):
    """Packages, environments or weights."""

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """Remove what is not in use and was used last at or before that time; how many."""
        ...


class Retainer:
    """`kinds` are what versions are made of: a name for people, the kind, and what is in use of it."""

    def __init__(
        self,
        store: JobStore,
        objects: ObjectStore,
        kinds: Collection[tuple[str, Unused, Callable[[], Collection[str]]]],
        retention: Retention,
        clock: Clock,
    ) -> None:
        self._store = store
        self._objects = objects
        self._kinds = kinds
        self._retention = retention
        self._clock = clock

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            await self._clock.sleep_ms(RETAIN_INTERVAL_SECONDS * 1000)
            await self.retain()

    async def retain(self) -> None:
        """One round. A part that fails does so for itself; the next round tries it again."""
        now_ms = self._clock.now_ms()
        jobs_until_ms, unused_until_ms = now_ms - self._retention.jobs_ms, now_ms - self._retention.unused_ms
        await self._part("keys", lambda: self._keys(now_ms - self._retention.keys_ms))
        await self._part("jobs", lambda: self._jobs(jobs_until_ms))
        for bucket in (RESULTS_BUCKET, TRIALS_BUCKET, INPUTS_BUCKET):
            await self._part(bucket, lambda bucket=bucket: self._own_objects(bucket, jobs_until_ms))  # type: ignore[misc]
        for name, kind, in_use in self._kinds:
            await self._part(name, lambda kind=kind, in_use=in_use: kind.remove_unused(in_use(), unused_until_ms))  # type: ignore[misc]

    async def _part(self, what: str, removing: Callable[[], Awaitable[int]]) -> None:
        try:
            removed = await removing()
        except Exception as error:  # the named edge: what cannot be removed now must not keep the rest
            trouble = as_unavailable(error)
            log.warning("retention.failed", what=what, error=str(error), exc_info=None if trouble else error)
            return
        if removed:
            log.info("retention.removed", what=what, count=removed)

    async def _keys(self, until_ms: int) -> int:
        removed = 0
        while True:
            (outcome,) = await self._store.apply([c.ForgetKeys(until_ms, RETAIN_BATCH)])
            count = outcome.count if isinstance(outcome, c.Forgotten) else 0
            removed += count
            if count < RETAIN_BATCH:
                return removed

    async def _jobs(self, until_ms: int) -> int:
        removed = 0
        while ids := await self._store.ended_until(until_ms, RETAIN_BATCH):
            (outcome,) = await self._store.apply([c.ForgetJobs(tuple(ids), until_ms)])
            if not isinstance(outcome, c.Forgotten) or not outcome.count:
                break
            removed += outcome.count
        return removed

    async def _own_objects(self, bucket: str, until_ms: int) -> int:
        removed, after = 0, ""
        while True:
            page = await self._page(bucket, after)
            old = [info for info in page.objects if info.modified_at_ms <= until_ms]
            if bucket == INPUTS_BUCKET and old:
                named = await self._store.inputs_named(bucket, [info.name.key for info in old])
                old = [info for info in old if info.name.key not in named]
            for info in old:
                removed += await self._remove(info)
            if page.next_after is None:
                return removed
            after = page.next_after

    async def _page(self, bucket: str, after: str) -> ListPage:
        try:
            return await self._objects.list(bucket, after=after, limit=LIST_KEYS_MAX)
        except NoSuchBucket:
            return ListPage((), (), None)

    async def _remove(self, info: ObjectInfo) -> bool:
        """Unless the name holds something newer by now."""
        try:
            if (await self._objects.head(info.name)).modified_at_ms != info.modified_at_ms:
                return False
            await self._objects.delete(info.name)
        except (NoSuchBucket, NoSuchObject):
            return False
        return True
