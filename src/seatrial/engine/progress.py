"""Tell webhooks how far jobs are: the newest that a handler has said, at most once in PROGRESS_TOLD_MS of a job."""

from __future__ import annotations

import structlog

from seatrial.domain.announcement import progress_deliveries
from seatrial.domain.delivery import PROGRESS
from seatrial.domain.errors import NotFound
from seatrial.domain.limits import PROGRESS_TOLD_MS
from seatrial.engine.bells import OUTBOX, Bells
from seatrial.engine.inspect import Inspector
from seatrial.engine.streams import Streams
from seatrial.ports.clock import Clock
from seatrial.ports.outbox import Outbox
from seatrial.ports.storage import StoreUnavailable

log = structlog.get_logger()


class ProgressTeller:
    """Hears what handlers say, and puts it into the outbox where somebody wants to know."""

    def __init__(self, streams: Streams, inspector: Inspector, outbox: Outbox, bells: Bells, clock: Clock) -> None:
        self._inspector = inspector
        self._outbox = outbox
        self._bells = bells
        self._clock = clock
        self._news: dict[str, bytes] = {}
        streams.on_progress(self._hear)

    def _hear(self, job_id: str, told: bytes) -> None:
        self._news[job_id] = told

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            await self._clock.sleep_ms(PROGRESS_TOLD_MS)
            try:
                await self.tell()
            except StoreUnavailable as error:
                log.warning("progress.not_told", error=str(error))

    async def tell(self) -> None:
        """What was said since the last time. What a store that is away misses is not told later: newer follows."""
        news, self._news = self._news, {}
        for job_id, told in news.items():
            try:
                job = await self._inspector.job(job_id)
            except NotFound:
                continue
            if job.ended or not any(target.wants(PROGRESS) for target in job.notify):
                continue
            await self._outbox.post(progress_deliveries(job, told, self._clock.now_ms()))
            self._bells.ring(OUTBOX)
