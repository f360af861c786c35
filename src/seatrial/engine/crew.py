"""Keep the workers of one version alive: as many as desired, replaced when they die, with back-off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import structlog

from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import INTERNAL_ERROR, LOAD_FAILED, SeatrialError
from seatrial.domain.failures import Failure
from seatrial.domain.limits import (
    RESTART_BACKOFF_SECONDS_MAX,
    RESTARTS_PER_WINDOW_MAX,
    STORE_RETRY_MS,
    WORKER_STOP_GRACE_SECONDS,
    WORKERS_REMEMBERED_MAX,
)
from seatrial.domain.work import Loaded, LoadFailed, MemoryReading, WorkerSpec
from seatrial.engine.directory import Deployed
from seatrial.engine.falls import Fall, Falls
from seatrial.engine.outputs import OutputSealer
from seatrial.engine.prepare import Preparer
from seatrial.engine.runner import Runner
from seatrial.engine.streams import Streams
from seatrial.ports.clock import Clock
from seatrial.ports.model_pool import ModelPool, Worker
from seatrial.ports.storage import as_unavailable
from seatrial.ports.work_source import WorkSource

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bench:
    """What every crew of this server works with."""

    pool: ModelPool
    source: WorkSource
    preparer: Preparer
    sealer: OutputSealer
    clock: Clock
    streams: Streams


@dataclass(frozen=True, slots=True)
class CrewState:
    """Workers that are ready; while one backs off before it starts again, for how long."""

    ready: int
    backs_off_ms: int | None


class Crew:
    """The workers of one version on this machine.

    `make_spec` gives a fresh spec (its own scratch folder) per worker. `on_broken` is called once, with the
    reason, when there were more than RESTARTS_PER_WINDOW_MAX reasons to restart within RESTART_WINDOW_SECONDS (see
    falls.py), or workers failed to load so often in a row, however long each load took. While others of the
    crew serve, one that fails to load is only tried again and again.
    """

    def __init__(
        self,
        deployed: Deployed,
        make_spec: Callable[[], WorkerSpec],
        bench: Bench,
        on_broken: Callable[[EndpointVersion, Failure], Awaitable[None]],
    ) -> None:
        self._deployed = deployed
        self._make_spec = make_spec
        self._bench = bench
        self._on_broken = on_broken
        self._desired = 0
        self.started: deque[str] = deque(maxlen=WORKERS_REMEMBERED_MAX)  # ids of its workers, which name their logs
        self._runners: set[Runner] = set()
        self._keepers: set[asyncio.Task[None]] = set()
        self._between: set[asyncio.Task[None]] = set()  # keepers that have no serving worker: safe to cancel
        self._falls = Falls()
        self._failed_loads = 0  # in a row
        self._broken_by: Failure | None = None
        self._last_death: Failure | None = None
        self._rests_until_ms: int | None = None
        self._stopping = False
        self._known = asyncio.Event()  # whether it serves: a worker has loaded, or none is to come

    @property
    def ready(self) -> int:
        """Workers that have loaded and take work."""
        return len(self._runners)

    @property
    def busy(self) -> int:
        """Workers that hold work."""
        return sum(runner.busy for runner in self._runners)

    @property
    def state(self) -> CrewState:
        """How its workers are."""
        resting = None
        if self._rests_until_ms is not None:
            resting = max(0, self._rests_until_ms - self._bench.clock.monotonic_ms())
        return CrewState(self.ready, resting)

    @property
    def desired(self) -> int:
        """How many workers there should be."""
        return self._desired

    @property
    def broken_by(self) -> Failure | None:
        """Why it gave up; None while it goes on."""
        return self._broken_by

    @property
    def last_death(self) -> Failure | None:
        """Why the worker that went away last, once it served and unless we ended it, did so; None if none has."""
        return self._last_death

    async def start_first(self) -> Loaded:
        """Start one worker and wait until it is loaded; it takes work from then on.

        Raises:
            LoadFailed: it did not load.
            SeatrialError, OSError: it could not be started.
        """
        worker, spec = await self._start()
        loaded = await _loaded(worker)
        self._desired = max(self._desired, 1)
        self._keep(self._serve_then_replace(worker, spec))
        return loaded

    async def loaded(self) -> bool:
        """Wait until a worker has loaded once; False: it gave up, or was retired, and serves no more."""
        await self._known.wait()
        return not self._stopping

    def scale(self, desired: int) -> None:
        """Aim for that many workers: more are started in the background, superfluous ones retire."""
        self._desired = desired
        if desired == 0:
            self._known.set()  # there is none to wait for
        while self._staying() < desired:
            self._keep(self._replace())
        for runner in self._taking()[desired:]:
            runner.retire()

    async def cancel(self, session: str, token: str) -> bool:
        """End the work of that claim, see Runner.cancel; False: no worker of this crew holds the session."""
        for runner in self._runners:
            if runner.session == session:
                await runner.cancel(token)
                return True
        return False

    async def end_session(self, session: str) -> bool:
        """End the worker that holds the session; False: none of this crew does."""
        for runner in self._runners:
            if runner.session == session:
                await runner.stop(WORKER_STOP_GRACE_SECONDS)
                return True
        return False

    async def strike(self, job_id: str) -> bool:
        """Kill the worker whose handler is at work on the job, without warning; False: none is."""
        for runner in self._runners:
            if runner.runs(job_id):
                await runner.stop(0)
                return True
        return False

    def worker_ids(self) -> frozenset[str]:
        """The workers that serve now."""
        return frozenset(runner.worker_id for runner in self._runners)

    def memory(self) -> list[list[MemoryReading]]:
        """For each worker that has answered, its memory after each answer."""
        return [runner.memory for runner in self._runners if runner.memory]

    async def retire(self, grace_seconds: float | None) -> None:
        """Let what runs end within the grace, then end every worker; none is left when this returns.

        None: the timeouts of what runs are bound enough. It may be called again meanwhile, with a shorter grace.
        """
        self._stop()
        for keeper in self._between:
            keeper.cancel()
        for runner in self._runners:
            runner.retire()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=grace_seconds)
        await self.stop_all()
        if self._keepers:
            await asyncio.wait(self._keepers)

    async def stop_all(self) -> None:
        """End every serving worker now; what it held goes back to the queue."""
        await asyncio.gather(*(runner.stop(WORKER_STOP_GRACE_SECONDS) for runner in list(self._runners)))

    def _stop(self) -> None:
        self._stopping = True
        self._known.set()

    def _taking(self) -> list[Runner]:
        """Those that take work, the busy ones first; the others only end what they have."""
        return sorted((one for one in self._runners if not one.retiring), key=lambda one: not one.busy)

    def _staying(self) -> int:
        """Workers that take work, or are on their way to it."""
        return len(self._keepers) - (len(self._runners) - len(self._taking()))

    def _keep(self, serving: Coroutine[Any, Any, None]) -> None:
        keeper = asyncio.create_task(serving)
        self._keepers.add(keeper)
        keeper.add_done_callback(self._kept)

    def _kept(self, keeper: asyncio.Task[None]) -> None:
        self._keepers.discard(keeper)
        if not keeper.cancelled() and keeper.exception() is not None:
            log.error("crew.defect", endpoint=self._deployed.version.endpoint_name, exc_info=keeper.exception())

    async def _start(self) -> tuple[Worker, WorkerSpec]:
        spec = self._make_spec()
        worker = await self._bench.pool.start(spec)
        self.started.append(worker.id)
        return worker, spec

    async def _start_patiently(self) -> tuple[Worker, WorkerSpec]:
        """A full disk is nobody's fault here: the worker starts once there is room again."""
        while True:
            try:
                return await self._start()
            except OSError as error:
                if as_unavailable(error) is None:
                    raise
                log.warning("worker.cannot_start", endpoint=self._deployed.version.endpoint_name, error=str(error))
            await self._bench.clock.sleep_ms(STORE_RETRY_MS)

    async def _serve_then_replace(self, worker: Worker, spec: WorkerSpec) -> None:
        """Serve with this worker; when it falls, with the next one, as long as it is wanted."""
        fall = await self._serve(worker, spec)
        if await self._go_on(fall):
            await self._replace()

    async def _replace(self) -> None:
        while not self._stopping:
            fall = await self._live()
            if not await self._go_on(fall):
                return

    async def _live(self) -> Fall | None:
        """One worker from its start to its end; why it fell, unless we ended it."""
        with self._cancellable():
            try:
                worker, spec = await self._start_patiently()
                await _loaded(worker)
            except LoadFailed as failed:
                return self._not_loaded(failed.failure)
            except SeatrialError as error:
                return self._not_loaded(Failure(error.error_type, error.message, error.details))
            except OSError as error:
                return self._not_loaded(Failure(LOAD_FAILED, f"No worker process could be started: {error}"))
        self._failed_loads = 0
        if len(self._taking()) >= self._desired:  # fewer are wanted by now
            await worker.stop(WORKER_STOP_GRACE_SECONDS)
            return None
        return await self._serve(worker, spec)

    def _not_loaded(self, failure: Failure) -> Fall:
        self._failed_loads += 1
        return Fall(failure)

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        keeper = asyncio.current_task()
        if keeper is not None:
            self._between.add(keeper)
        try:
            yield
        finally:
            if keeper is not None:
                self._between.discard(keeper)

    async def _serve(self, worker: Worker, spec: WorkerSpec) -> Fall | None:
        bench = self._bench
        runner = Runner(
            self._deployed,
            spec,
            worker,
            bench.source,
            bench.preparer,
            bench.sealer,
            bench.clock,
            bench.streams,
        )
        self._runners.add(runner)
        self._known.set()
        if self._stopping:
            runner.retire()
        try:
            await runner.serve()
        except Exception as error:  # the named edge: a defect of ours must not cost the crew its worker
            log.exception("runner.defect", endpoint=self._deployed.version.endpoint_name)
            return Fall(Failure(INTERNAL_ERROR, f"The server failed to drive the worker: {error}"))
        finally:
            self._runners.discard(runner)
            if worker.recycled:
                name = self._deployed.version.endpoint_name
                log.warning("worker.recycled", endpoint=name, worker=worker.id, reason=worker.recycled)
            if runner.answered:
                self._falls.answered()
            await asyncio.shield(worker.stop(WORKER_STOP_GRACE_SECONDS))
        if runner.fallen is None:
            return None
        self._last_death = runner.fallen
        return Fall(runner.fallen, runner.suspect)

    async def _go_on(self, fall: Fall | None) -> bool:
        """Whether another worker should follow; waits the back-off first."""
        if self._stopping or self._staying() > self._desired:
            self._keepers.discard(cast("asyncio.Task[None]", asyncio.current_task()))  # so that of two only one goes
            return False
        if fall is None:
            return True
        name = self._deployed.version.endpoint_name
        recent = self._falls.add(fall, self._bench.clock.monotonic_ms())
        log.warning("worker.fell", endpoint=name, reason=fall.failure.message, reasons_lately=recent)
        others_serve = self._failed_loads > 0 and self._taking()
        if max(recent, self._failed_loads) > RESTARTS_PER_WINDOW_MAX and not others_serve:
            self._broken_by = fall.failure
            self._stop()
            await self._on_broken(self._deployed.version, fall.failure)
            return False
        backoff_seconds = min(RESTART_BACKOFF_SECONDS_MAX, 2 ** (recent - 2))
        self._rests_until_ms = self._bench.clock.monotonic_ms() + int(backoff_seconds * 1000)
        with self._cancellable():
            await self._bench.clock.sleep_ms(int(backoff_seconds * 1000))
        self._rests_until_ms = None
        return not self._stopping


async def _loaded(worker: Worker) -> Loaded:
    """Wait until it has loaded; when that is given up, no process is left."""
    try:
        return await worker.load()
    except asyncio.CancelledError:
        await worker.stop(0)
        raise
