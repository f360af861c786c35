"""Make decided outcomes visible where objects are not rows: secondary parts first, the primary last, then the end.

Every step can be repeated, by this server or by another one, and then finds that it is done. A slow one harms
nobody: what it would copy is discarded after the terminal commit, and a name that somebody else has taken since is
replaced only as it was seen while this job was still publishing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from seatrial.domain import commands as c
from seatrial.domain.errors import PUBLISH_FAILED
from seatrial.domain.failures import Failure, failure_body
from seatrial.domain.jobs import Job
from seatrial.domain.limits import (
    PUBLICATIONS_AT_ONCE_MAX,
    PUBLICATIONS_READ_MAX,
    PUBLISH_RETRY_MS_FIRST,
    PUBLISH_RETRY_MS_MAX,
    PUBLISH_SCAN_MS,
    STAGING_SWEEP_MS,
    STORE_RETRY_MS,
)
from seatrial.domain.objects import ObjectName, PutCondition, Sealed
from seatrial.engine.transfers import Transfer, Transfers
from seatrial.engine.watch import Watch
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import JobStore, StoreUnavailable
from seatrial.ports.object_store import (
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectRefused,
    ObjectStore,
    StagingGone,
)

log = structlog.get_logger()

T = TypeVar("T")

_TAKES_MAX = 5  # of a name that others write to at the same time
_TROUBLE = (StoreUnavailable, NoSuchBucket, ObjectRefused, ConditionFailed, StagingGone)


class Overtaken(Exception):
    """The job is not publishing this any more: somebody else brought it to its end."""


class Publisher:
    """Publishes what this server decides at once, and what it finds decided by others a little later.

    `sweep` removes staged objects that nobody needs; it is called at the start and then hourly.
    """

    def __init__(
        self,
        store: JobStore,
        objects: ObjectStore,
        watch: Watch,
        clock: Clock,
        sweep: Callable[[], Awaitable[int]],
        transfers: Transfers | None = None,
    ) -> None:
        self._transfers = transfers or Transfers()
        self._store = store
        self._objects = objects
        self._watch = watch
        self._clock = clock
        self._sweep = sweep
        self._turns = asyncio.Semaphore(PUBLICATIONS_AT_ONCE_MAX)
        self._at_work: dict[str, asyncio.Task[None]] = {}
        watch.on_decided(self.begin)

    def begin(self, job: Job) -> None:
        """Publish a decided job, unless that is under way."""
        if job.id not in self._at_work:
            task = asyncio.create_task(self._publish(job.id))
            self._at_work[job.id] = task
            task.add_done_callback(lambda _: self._at_work.pop(job.id, None))

    async def run(self) -> None:
        """For ever, until cancelled: what other servers decided and left, and what was staged in vain."""
        sweep_due_ms = self._clock.monotonic_ms()
        while True:
            try:
                await self.resume()
                await self.withdraw_left()
                if self._clock.monotonic_ms() >= sweep_due_ms:
                    sweep_due_ms += STAGING_SWEEP_MS
                    await self._sweep()
            except StoreUnavailable as error:
                log.warning("publisher.store_unavailable", error=str(error))
            except Exception:  # the named edge: a defect in one round must not end publication for good
                log.exception("publisher.defect")
            await self._clock.sleep_ms(PUBLISH_SCAN_MS)

    async def resume(self) -> None:
        """Begin with everything that is decided and not visible."""
        for publication in await self._store.publications(self._clock.now_ms(), PUBLICATIONS_READ_MAX):
            self.begin(publication.job)

    async def withdraw_left(self) -> None:
        """What could not be withdrawn before its job had to end as publish_failed, as far as that is possible now."""
        for publication in await self._store.withdrawals(PUBLICATIONS_READ_MAX):
            try:
                await self._withdraw(publication)
            except _TROUBLE as error:
                log.info("publication.not_withdrawn", job=publication.job.id, error=str(error))
                return  # the next round
            await self._store.apply([c.Withdrawn(publication.job.id)])
            log.info("publication.withdrawn", job=publication.job.id)

    async def close(self, grace_seconds: float) -> None:
        """Wait a little for what is under way; the rest is resumed by the next server."""
        tasks = list(self._at_work.values())
        if tasks:
            await asyncio.wait(tasks, timeout=grace_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------ one publication

    async def _publish(self, job_id: str) -> None:
        try:
            publication = await self._read(job_id)
            while publication is not None and not await self._tried(publication):
                publication = await self._read(job_id)
        except Overtaken:
            log.info("publication.overtaken", job=job_id)
        except Exception:  # the named edge: it stays decided, and the next scan begins again
            log.exception("publication.defect", job=job_id)

    async def _tried(self, publication: c.Publication) -> bool:
        """Try until it is visible, or its time is up. False: the decision became another, which is to be published."""
        wait_ms = PUBLISH_RETRY_MS_FIRST
        while True:
            extra: list[Sealed] = []
            try:
                async with self._turns:
                    with self._transfers.measured(publication.job.id, Transfer.OUTPUT):
                        await self._show(publication, extra)
                await self._conclude(publication)
                return True
            except _TROUBLE as error:
                trouble = error
            finally:
                await self._discard(extra)
            job = publication.job
            log.warning("publication.trouble", job=job.id, error=str(trouble), kind=type(trouble).__name__)
            await self._check(publication)
            # A clock that jumped gives nothing up: it is asked only after a try that failed.
            if isinstance(trouble, StagingGone) or self._clock.now_ms() >= (job.publish_by_ms or 0):
                return await self._give_up(publication, trouble)
            await self._clock.sleep_ms(wait_ms)
            wait_ms = min(wait_ms * 2, PUBLISH_RETRY_MS_MAX)

    async def _show(self, publication: c.Publication, extra: list[Sealed]) -> None:
        """Everything in order; what is there already is left as it is. `extra` gets what is staged for it here."""
        if publication.failure is not None:
            await self._withdraw(publication)
        for part in publication.parts if publication.failure is None else ():
            sealed = part.sealed
            if sealed.inline is not None:
                extra.append(sealed := await self._staged(publication, sealed.inline))
            await self._take_name(publication, sealed, part.object, part.media_type)
            reached(CrashPoint.PUBLISH_PART_REVEALED)
        if publication.failure is not None:
            extra.append(document := await self._staged(publication, failure_body(publication.failure)))
            await self._take_name(publication, document, publication.job.output.failure, "application/json")
            reached(CrashPoint.PUBLISH_FAILURE_REVEALED)

    async def _staged(self, publication: c.Publication, body: bytes) -> Sealed:
        """Bytes that lie in the decision itself, as a staged object of this job."""
        staged = await self._objects.stage(body, len(body), claim=publication.job.id)
        await self._check(publication)
        return staged

    async def _take_name(self, publication: c.Publication, sealed: Sealed, name: ObjectName, media_type: str) -> None:
        """Free, ours already, or held by an earlier outcome of the same chosen name, which is replaced."""
        condition = PutCondition(if_none_match=True)
        for _ in range(_TAKES_MAX):
            try:
                await self._objects.reveal(sealed, name, media_type, {}, condition)
                return
            except ConditionFailed:
                pass
            try:
                held = await self._objects.head(name)
                condition = PutCondition(if_match=held.sealed.etag)
            except NoSuchObject:
                condition = PutCondition(if_none_match=True)
            await self._check(publication)  # after the look: whoever took the name since has changed its ETag
        raise ConditionFailed(f"{name.uri} keeps changing")

    async def _check(self, publication: c.Publication) -> None:
        """Raises Overtaken: it is not this that the job publishes, or not any more."""
        now = await self._insist(lambda: self._store.publication(publication.job.id))
        if now is None or now.outcome is not publication.outcome:
            raise Overtaken(publication.job.id)

    async def _conclude(self, publication: c.Publication, not_published: str | None = None) -> None:
        job_id, outcome = publication.job.id, publication.outcome
        done = c.Published(job_id, outcome, self._clock.now_ms(), not_published)
        (answer,) = await self._insist(lambda: self._store.apply([done]))
        if not isinstance(answer, c.Finished):
            raise Overtaken(job_id)
        reached(CrashPoint.PUBLISH_COMMITTED)
        self._watch.forget(answer.superseded)
        self._watch.changed([answer.job])
        await self._discard([part.sealed for part in publication.parts])  # not before the terminal commit

    async def _give_up(self, publication: c.Publication, trouble: Exception) -> bool:
        """A result becomes the failure publish_failed; of a failure the job's row alone tells."""
        if publication.outcome is not c.Outcome.SUCCEEDED:
            await self._conclude(publication, _words(trouble))
            return True
        giving_up = c.GiveUp(publication.job.id, _publish_failed(publication, trouble), self._clock.now_ms())
        (answer,) = await self._insist(lambda: self._store.apply([giving_up]))
        if not isinstance(answer, c.GivenUp):
            raise Overtaken(publication.job.id)
        reached(CrashPoint.PUBLISH_GIVEN_UP)
        return False

    async def _withdraw(self, publication: c.Publication) -> None:
        """No part of what was given up shows, or will: first its source goes, then what had been shown of it.

        Whoever publishes the failure does this first: the server that gave up may have died.
        """
        await self._objects.discard([part.sealed for part in publication.parts])
        for part in reversed(publication.parts):  # the primary first: who sees it sees all of it
            try:
                await self._objects.reveal(
                    part.sealed, part.object, part.media_type, {}, PutCondition(if_none_match=True)
                )
                await self._objects.delete(part.object)
            except (ConditionFailed, NoSuchBucket, StagingGone):
                pass  # it is not there

    async def _discard(self, sealed: list[Sealed]) -> None:
        try:
            await self._objects.discard(sealed)
        except StoreUnavailable as error:
            log.info("publication.left_staged", error=str(error))  # the next sweep takes it

    async def _read(self, job_id: str) -> c.Publication | None:
        return await self._insist(lambda: self._store.publication(job_id))

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await step()
            except StoreUnavailable as error:
                log.warning("publication.store_unavailable", error=str(error))
            await self._clock.sleep_ms(STORE_RETRY_MS)


def _words(trouble: Exception) -> str:
    if isinstance(trouble, NoSuchBucket):
        return f"bucket {str(trouble)!r} does not exist"
    return str(trouble) or type(trouble).__name__


def _publish_failed(publication: c.Publication, trouble: Exception) -> Failure:
    details = {"remedy": "See to it that the output bucket exists and may be written, and retry the job."}
    if isinstance(trouble, NoSuchBucket):
        details |= {"bucket": str(trouble)}
    return Failure(PUBLISH_FAILED, f"The result could not be published: {_words(trouble)}.", details)
