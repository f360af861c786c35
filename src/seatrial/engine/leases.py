"""Servers that share a store: this one's lease, and the end of those that are gone."""

from __future__ import annotations

import structlog

from seatrial.domain import commands as c
from seatrial.domain.limits import SERVER_BEAT_SECONDS, SERVER_LEASE_SECONDS
from seatrial.engine.bells import Bells
from seatrial.engine.watch import Watch
from seatrial.ports.clock import Clock
from seatrial.ports.job_store import JobStore, StoreUnavailable

log = structlog.get_logger()

BEAT_MS = SERVER_BEAT_SECONDS * 1000
LEASE_MS = SERVER_LEASE_SECONDS * 1000


class Leases:
    """Beats for this server, and closes the sessions of those that have not for SERVER_LEASE_SECONDS.

    Time is the store's. A server whose own beats came late (it was suspended, or the store was away) cannot tell
    whether the others had their chance to beat: it judges nobody for the length of a lease.
    """

    def __init__(self, store: JobStore, watch: Watch, bells: Bells, clock: Clock, server: str, home: str) -> None:
        self._store = store
        self._watch = watch
        self._bells = bells
        self._clock = clock
        self._server = server
        self.home = home
        self._on_time_ms = 0  # for how long beats have come in time

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            await self._clock.sleep_ms(BEAT_MS)
            try:
                await self.beat()
            except StoreUnavailable as error:
                log.warning("leases.store_unavailable", error=str(error))
            except Exception:  # the named edge: a defect in one round must not cost this server its lease
                log.exception("leases.defect")

    async def beat(self) -> None:
        """Renew the lease; end the leases of others if this server may judge.

        Raises:
            StoreUnavailable
        """
        (beaten,) = await self._store.apply([c.Beat(self._server, self.home)])
        since_ms = beaten.since_last_ms if isinstance(beaten, c.Beaten) else None
        if since_ms is None or since_ms > 2 * BEAT_MS:
            self._on_time_ms = 0
            return
        self._on_time_ms += since_ms
        if self._on_time_ms >= LEASE_MS:
            await self._close_lapsed()

    async def _close_lapsed(self) -> None:
        (closed,) = await self._store.apply([c.CloseLapsed(self._server, LEASE_MS, self._clock.now_ms())])
        if isinstance(closed, c.Closed) and (closed.requeued or closed.ended):
            log.warning("leases.server_gone", requeued=len(closed.requeued), ended=len(closed.ended))
            self._watch.changed(closed.ended)
            self._bells.ring_all()
