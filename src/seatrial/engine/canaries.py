"""Canaries of every endpoint: when they are due, what is told of them, and what a failing one does.

An endpoint has one canary at a time. How the last one ended is kept in the endpoint's history, so that a server which
starts goes on with the same rhythm.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from seatrial.domain.canary import Canary, CanaryCause, CanaryState, canary_deliveries
from seatrial.domain.delivery import Delivery
from seatrial.domain.endpoint import CanaryPolicy, Endpoint, EndpointStatus, EndpointVersion
from seatrial.domain.errors import ENDPOINT_NOT_IN_SERVICE, Conflict
from seatrial.domain.history import EventFilter, EventKind
from seatrial.domain.limits import CANARY_LOOK_MS, STORE_RETRY_MS
from seatrial.engine.bells import OUTBOX, Bells
from seatrial.engine.canary import Sampled, Sampler
from seatrial.engine.deploy import ENDPOINT_BUSY, Deployer
from seatrial.engine.report.bindings import DEVICE, ENVIRONMENT, INTERPRETER, PLATFORM
from seatrial.engine.trial.court import Court
from seatrial.ports.clock import Clock
from seatrial.ports.meters import Meters
from seatrial.ports.registry import Registry
from seatrial.ports.storage import StoreUnavailable

log = structlog.get_logger()

MINUTE_MS = 60_000
RUNS_ON = frozenset({PLATFORM, INTERPRETER, ENVIRONMENT, DEVICE})


class Canaries:
    """Runs them at rounds and on demand."""

    def __init__(
        self, court: Court, deployer: Deployer, registry: Registry, meters: Meters, bells: Bells, clock: Clock
    ) -> None:
        self._sampler = Sampler(court)
        self._say = court.say
        self._directory = court.directory
        self._deployer = deployer
        self._registry = registry
        self._meters = meters
        self._bells = bells
        self._clock = clock
        self._last: dict[str, Canary] = {}  # by endpoint id: the one that runs, or the last that ended
        self._tried: dict[str, tuple[str, tuple[str, ...]]] = {}  # by endpoint id: the version, and what had changed
        self._failing: set[str] = set()  # endpoint ids whose last canary that could be run has failed
        self._turns: dict[str, int] = {}  # by version: how many were due already
        self._under_way: dict[str, asyncio.Task[None]] = {}  # by endpoint id

    async def load(self) -> None:
        """Read how the last one of each endpoint ended, at start."""
        for endpoint in await self._deployer.endpoints():
            for event in reversed(await self._registry.events(EventFilter(endpoint.id, EventKind.CANARY))):
                self._show(endpoint, Canary.of_event(event))

    async def run(self) -> None:
        """For ever, until cancelled."""
        try:
            while True:
                await self.look()
                await self._clock.sleep_ms(CANARY_LOOK_MS)
        finally:
            await self.close()

    async def look(self) -> None:
        """Begin those that are due."""
        endpoints = await self._deployer.endpoints()
        self._forget_all_but({endpoint.id for endpoint in endpoints})
        for endpoint in endpoints:
            if endpoint.status is not EndpointStatus.IN_SERVICE or endpoint.active_version is None:
                continue
            if endpoint.id in self._under_way or not self._deployer.workers(endpoint.name):
                continue
            version = await self._deployer.version(endpoint.active_version)
            due_ms = self._due_ms(endpoint, version)
            if self._is_changed(endpoint, version):
                self._begin(endpoint, version, CanaryCause.CHANGE)
            elif due_ms is not None and self._clock.now_ms() >= due_ms:
                self._begin(endpoint, version, CanaryCause.SCHEDULE)

    async def close(self) -> None:
        """The server stops: those under way are given up."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait for those under way."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())

    def last(self, endpoint: Endpoint) -> Canary | None:
        """The one under way, or the last that ended."""
        return self._last.get(endpoint.id)

    async def ask(self, endpoint_name: str, cause: CanaryCause = CanaryCause.ASKED) -> None:
        """Begin one now, unless one is under way. An endpoint that has left service is put on trial again instead.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is being created, updated or deleted, or was never in service.
            Busy: the server is stopping.
        """
        endpoint = await self._deployer.endpoint(endpoint_name)
        if endpoint.status is EndpointStatus.IN_SERVICE and endpoint.active_version is not None:
            if endpoint.id not in self._under_way:
                self._begin(endpoint, await self._deployer.version(endpoint.active_version), cause)
        elif endpoint.status is not EndpointStatus.FAILED:
            raise Conflict(
                ENDPOINT_BUSY, f"Endpoint {endpoint_name!r} is {endpoint.status}: wait until that has ended."
            )
        elif endpoint.last_version is None:
            remedy = "Deploy a mended package: seatrial deploy PACKAGE --name NAME --update"
            message = f"Endpoint {endpoint_name!r} was never in service: there is no version to run a sample on."
            raise Conflict(ENDPOINT_NOT_IN_SERVICE, message, details={"remedy": remedy})
        else:
            await self._deployer.prove_again(endpoint_name)

    # ------------------------------------------------------------------ inside

    def _forget_all_but(self, endpoint_ids: set[str]) -> None:
        for gone in self._last.keys() - endpoint_ids:
            del self._last[gone]
            self._failing.discard(gone)
            self._tried.pop(gone, None)

    def _due_ms(self, endpoint: Endpoint, version: EndpointVersion) -> int | None:
        """When the next one is due: so long after the last one of this version, or after its trial."""
        minutes = version.settings.canary_minutes
        if minutes is None:
            return None
        last = self._last.get(endpoint.id)
        if last is not None and last.version_id == version.id:
            since_ms = last.ended_at_ms or last.started_at_ms
        else:
            since_ms = max((one.ended_at_ms or 0 for one in version.stages), default=version.created_at_ms)
        return since_ms + minutes * MINUTE_MS

    def _is_changed(self, endpoint: Endpoint, version: EndpointVersion) -> bool:
        """Whether the version runs on something that no canary has run on yet."""
        changed = self._changed(version)
        tried = self._tried.get(endpoint.id)
        return bool(changed) and tried != (version.id, changed)

    def _changed(self, version: EndpointVersion) -> tuple[str, ...]:
        """What differs from when it was proved, by the last look; what it is itself is not what it runs on."""
        found = self._deployer.reports.known(version.id) or ()
        return tuple(one for one in found if one.partition(":")[0] in RUNS_ON)

    def _begin(self, endpoint: Endpoint, version: EndpointVersion, cause: CanaryCause) -> None:
        now_ms = self._clock.now_ms()
        changed = self._changed(version)
        canary = Canary(str(uuid.uuid4()), version.id, cause, CanaryState.RUNNING, now_ms, changed=changed)
        self._show(endpoint, canary)
        task = asyncio.create_task(self._conduct(endpoint, version, canary))
        self._under_way[endpoint.id] = task

        def over(done: asyncio.Task[None]) -> None:
            del self._under_way[endpoint.id]
            if not done.cancelled() and done.exception() is not None:
                log.error("canary.defect", endpoint=endpoint.name, exc_info=done.exception())

        task.add_done_callback(over)

    def _show(self, endpoint: Endpoint, canary: Canary) -> None:
        self._last[endpoint.id] = canary
        if canary.state is not CanaryState.RUNNING:
            self._tried[endpoint.id] = (canary.version_id, canary.changed)
        if canary.state is CanaryState.FAILED:
            self._failing.add(endpoint.id)
        elif canary.state is CanaryState.PASSED:
            self._failing.discard(endpoint.id)
        self._bells.ring(endpoint.name)

    async def _conduct(self, endpoint: Endpoint, version: EndpointVersion, canary: Canary) -> None:
        turn = None
        if canary.cause is CanaryCause.SCHEDULE:
            turn = self._turns.get(version.id, 0)
            self._turns[version.id] = turn + 1
        try:
            sampled = await self._sampler.run(version, turn)
        except Exception as error:  # the named edge: a defect of ours tells nothing of the version
            log.exception("canary.defect", endpoint=endpoint.name)
            sampled = Sampled(CanaryState.SKIPPED, f"The server failed to run it: {error}")
        ended = replace(
            canary, state=sampled.state, message=sampled.message, runs=sampled.runs, ended_at_ms=self._clock.now_ms()
        )
        deliveries = self._told(endpoint, version, ended)
        await self._insist(lambda: self._settle(endpoint, version, ended, deliveries))
        self._meters.canary_ended(endpoint.name, ended)
        self._say(version, f"canary: {ended.state}: {ended.message}")
        self._show(endpoint, ended)
        if deliveries:
            self._bells.ring(OUTBOX)

    def _told(self, endpoint: Endpoint, version: EndpointVersion, ended: Canary) -> tuple[Delivery, ...]:
        """A failure each time, and the first that passes after one."""
        recovered = ended.state is CanaryState.PASSED and endpoint.id in self._failing
        if ended.state is not CanaryState.FAILED and not recovered:
            return ()
        told = self._directory.told(endpoint.name, version)
        return canary_deliveries(ended, version, [target for target in told if target.wants("canary")])

    async def _settle(
        self, endpoint: Endpoint, version: EndpointVersion, ended: Canary, deliveries: tuple[Delivery, ...]
    ) -> None:
        """What happened, whom it is told, and what it does to the endpoint are one transaction."""
        event = ended.event(endpoint.id)
        failed = ended.state is CanaryState.FAILED
        if failed and version.settings.canary_policy is CanaryPolicy.TAKE_OUT:
            await self._deployer.take_out(version, ended.message, event, deliveries)
        await self._registry.add_events([event], deliveries)  # adds nothing where it is there already

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await step()
            except StoreUnavailable as error:
                log.warning("canary.store_unavailable", error=str(error))
                await self._clock.sleep_ms(STORE_RETRY_MS)
