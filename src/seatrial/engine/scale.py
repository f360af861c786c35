"""Scale the workers of endpoints: to what their plans want, within their limits and what the machine takes.

Each look takes every endpoint's backlog once, records it, and moves the number of desired workers if the plan says so.
Workers that leave end what they run; a job that comes while the last one leaves waits for the next look, no longer.
With no worker, nothing that pulls from outside and no alarm that is to wake it, an endpoint wakes at once for a job,
whatever its policies and their cooldowns say: at AWS such a job waits until the backlog exceeds the target.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog
from pydantic import TypeAdapter

from seatrial.domain.endpoint import Endpoint
from seatrial.domain.errors import INVALID_FIELD, SCALING_NOT_FOUND, BadInput, NotFound, SeatrialError
from seatrial.domain.history import EndpointEvent, EventFilter, EventKind
from seatrial.domain.jobs import Backlog
from seatrial.domain.limits import (
    SCALING_LOOK_MS,
    SCALING_MEMORY_KEPT_BYTES,
    SCALING_POLICIES_MAX,
    SCALING_WAKE_LATE_SECONDS,
    SCALING_WORKERS_PER_CORE_MAX,
    STORE_RETRY_MS,
    WORKERS_PER_ENDPOINT_MAX,
)
from seatrial.domain.scaling import (
    Plan,
    Policy,
    Scaled,
    ScalingSettings,
    Stepping,
    Tracking,
    Wishes,
    highest_floor,
    may_grow,
    may_shrink,
    problem_of_limits,
    room_for,
    tracked,
)
from seatrial.engine.deploy import Deployer
from seatrial.engine.figures import Figures
from seatrial.ports.clock import Clock
from seatrial.ports.job_store import JobStore
from seatrial.ports.registry import NotThere, Registry
from seatrial.ports.storage import StoreUnavailable

log = structlog.get_logger()

PLANS = "scaling.plan"  # documents, by endpoint id
WOKEN = "a job waits and there is no worker"


@dataclass(frozen=True, slots=True)
class Kept:
    """A plan that somebody set. Without one: none is wanted, while `version_id` is the active version."""

    plan: Plan | None
    version_id: str | None = None


_DOCUMENTS = TypeAdapter(Kept)


@dataclass(frozen=True, slots=True)
class Machine:
    """What bounds workers: processors, and a look at the memory that is free."""

    cores: int
    free_memory_bytes: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Standing:
    """An endpoint's scaling as it is now. `held_back`: why it has fewer workers than its policies want."""

    plan: Plan | None
    desired: int
    ready: int
    backlog: Backlog
    held_back: str | None


@dataclass(slots=True)
class _Watched:
    """What is remembered of one endpoint between looks."""

    wishes: dict[str, Wishes]  # by policy id
    set_to: int | None = None  # workers, by the last change of ours
    grown: Scaled | None = None
    shrunk: Scaled | None = None
    backlog: Backlog = field(default_factory=Backlog)
    held_back: str | None = None


class Scaler:
    """Plans of endpoints, and the looks that carry them out.

    `outside_workers` counts those that pull an endpoint's jobs from elsewhere.
    """

    def __init__(
        self,
        deployer: Deployer,
        outside_workers: Callable[[str], int],
        registry: Registry,
        store: JobStore,
        figures: Figures,
        machine: Machine,
        clock: Clock,
    ) -> None:
        self._deployer = deployer
        self._outside_workers = outside_workers
        self._registry = registry
        self._store = store
        self._figures = figures
        self._machine = machine
        self._clock = clock
        self._kept: dict[str, Kept] = {}  # by endpoint id
        self._watched: dict[str, _Watched] = {}  # by endpoint id
        self._names: dict[str, str] = {}  # endpoint id -> name, of the last look
        self._turn = asyncio.Lock()  # of changes to plans and numbers
        self._patience_seconds: Callable[[str, str], int | None] = lambda endpoint_name, policy_id: None

    def on_wake(self, patience_seconds: Callable[[str, str], int | None]) -> None:
        """Ask this how long the alarm takes that runs a policy (its id) when an endpoint has a backlog and nobody for
        it; None: there is no such alarm."""
        self._patience_seconds = patience_seconds

    async def load(self) -> None:
        """Read the plans, at start."""
        for endpoint_id, body in await self._registry.documents(PLANS):
            self._kept[endpoint_id] = _DOCUMENTS.validate_python(body)

    # ------------------------------------------------------------------ plans

    async def plan(self, endpoint_name: str) -> Plan | None:
        """The plan in force: that which was set, else the package's own.

        Raises:
            NotFound: no such endpoint.
        """
        return await self._plan_of(await self._deployer.endpoint(endpoint_name))

    async def standing(self, endpoint_name: str) -> Standing:
        """How an endpoint is scaled now. Raises NotFound."""
        endpoint = await self._deployer.endpoint(endpoint_name)
        watched = self._watched.get(endpoint.id)
        return Standing(
            plan=await self._plan_of(endpoint),
            desired=endpoint.workers_desired,
            ready=self._deployer.workers(endpoint_name),
            backlog=watched.backlog if watched else Backlog(),
            held_back=watched.held_back if watched else None,
        )

    async def set_plan(self, endpoint_name: str, settings: ScalingSettings) -> Plan:
        """Scale by these settings, in the place of every other plan and policy.

        Raises:
            NotFound: no such endpoint.
            BadInput: limits that are not possible.
        """
        _check_limits(settings.minimum, settings.maximum)
        endpoint = await self._deployer.endpoint(endpoint_name)
        async with self._turn:
            return await self._keep(endpoint, settings.plan(str(uuid.uuid4()), self._clock.now_ms()))

    async def set_limits(
        self,
        endpoint_name: str,
        minimum: int | None,
        maximum: int | None,
        *,
        paused_in: bool | None = None,
        paused_out: bool | None = None,
        paused_schedules: bool | None = None,
    ) -> Plan:
        """Limits of a plan, made if need be; None: as they are. Its policies stay.

        Raises:
            NotFound: no such endpoint.
            BadInput: limits that are not possible, or a new plan without both.
        """
        endpoint = await self._deployer.endpoint(endpoint_name)
        async with self._turn:
            before = await self._plan_of(endpoint)
            if before is None:
                if minimum is None or maximum is None:
                    missing = "MinCapacity" if minimum is None else "MaxCapacity"
                    raise BadInput(INVALID_FIELD, "A new plan needs both limits.", field=missing, valid="a number")
                before = Plan(minimum, maximum, self._clock.now_ms())
            plan = replace(
                before,
                minimum=before.minimum if minimum is None else minimum,
                maximum=before.maximum if maximum is None else maximum,
                paused_in=before.paused_in if paused_in is None else paused_in,
                paused_out=before.paused_out if paused_out is None else paused_out,
                paused_schedules=before.paused_schedules if paused_schedules is None else paused_schedules,
            )
            _check_limits(plan.minimum, plan.maximum)
            return await self._keep(endpoint, plan)

    async def put_policy(self, endpoint_name: str, name: str, rule: Tracking | Stepping) -> Policy:
        """A policy of an endpoint that has a plan, in the place of the one of that name.

        Raises:
            NotFound: no such endpoint, or it has no plan.
            BadInput: too many policies.
        """
        endpoint = await self._deployer.endpoint(endpoint_name)
        async with self._turn:
            plan = await self._needed(endpoint)
            before = plan.policy(name)
            if before is None:
                policy = Policy(name, str(uuid.uuid4()), self._clock.now_ms(), rule)
            else:
                policy = replace(before, rule=rule)
            policies = (*(one for one in plan.policies if one.name != name), policy)
            if len(policies) > SCALING_POLICIES_MAX:
                raise BadInput(
                    INVALID_FIELD, "An endpoint cannot have more policies.", valid=f"at most {SCALING_POLICIES_MAX}"
                )
            await self._keep(endpoint, replace(plan, policies=policies))
        return policy

    async def delete_policy(self, endpoint_name: str, name: str) -> None:
        """Raises NotFound: no such endpoint, plan or policy."""
        endpoint = await self._deployer.endpoint(endpoint_name)
        async with self._turn:
            plan = await self._needed(endpoint)
            if plan.policy(name) is None:
                raise NotFound(SCALING_NOT_FOUND, f"Endpoint {endpoint_name!r} has no scaling policy {name!r}.")
            await self._keep(endpoint, replace(plan, policies=tuple(one for one in plan.policies if one.name != name)))

    async def drop_plan(self, endpoint_name: str) -> None:
        """Scale no more: the number of workers stays as it is. A new version may bring its package's own plan.

        Raises:
            NotFound: no such endpoint, or it has no plan.
        """
        endpoint = await self._deployer.endpoint(endpoint_name)
        async with self._turn:
            await self._needed(endpoint)
            await self._save(endpoint, Kept(None, endpoint.active_version))

    async def activities(self, endpoint_name: str, limit: int) -> list[EndpointEvent]:
        """What was scaled, newest first. Raises NotFound."""
        endpoint = await self._deployer.endpoint(endpoint_name)
        return await self._registry.events(EventFilter(endpoint.id, EventKind.SCALING, limit=limit))

    async def endpoint_of(self, policy_id: str) -> str | None:
        """The endpoint whose plan has the policy; None: there is none."""
        for endpoint in await self._deployer.endpoints():
            plan = await self._plan_of(endpoint)
            if plan is not None and any(one.id == policy_id for one in plan.policies):
                return endpoint.name
        return None

    async def _plan_of(self, endpoint: Endpoint) -> Plan | None:
        kept = self._kept.get(endpoint.id)
        if kept is not None and (kept.plan is not None or kept.version_id == endpoint.active_version):
            return kept.plan
        if endpoint.active_version is None:
            return None
        version = await self._deployer.version(endpoint.active_version)
        settings = version.settings.scaling
        return None if settings is None else settings.plan(version.id, version.created_at_ms)

    async def _needed(self, endpoint: Endpoint) -> Plan:
        plan = await self._plan_of(endpoint)
        if plan is None:
            raise NotFound(
                SCALING_NOT_FOUND,
                f"Endpoint {endpoint.name!r} is not scaled: its number of workers is fixed.",
                details={"remedy": f"seatrial scale {endpoint.name} --min 0 --max 3"},
            )
        return plan

    async def _keep(self, endpoint: Endpoint, plan: Plan) -> Plan:
        await self._save(endpoint, Kept(plan))
        return plan

    async def _save(self, endpoint: Endpoint, kept: Kept) -> None:
        body = _DOCUMENTS.dump_python(kept, mode="json")
        await self._registry.save_document(PLANS, endpoint.id, body, self._clock.now_ms())
        self._kept[endpoint.id] = kept

    # ------------------------------------------------------------------ looks

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("scale.store_unavailable", error=str(error))
                await self._clock.sleep_ms(STORE_RETRY_MS)
            except Exception:  # the named edge: a defect in one look must not leave jobs at zero workers for good
                log.exception("scale.defect")
            await self._clock.sleep_ms(SCALING_LOOK_MS)

    async def look(self) -> None:
        """Record what every endpoint has to do, and scale those that have a plan."""
        endpoints = await self._deployer.endpoints()
        await self._forget_all_but(endpoints)
        if not endpoints:
            return
        backlogs = await self._store.backlogs()
        for endpoint in endpoints:
            backlog = backlogs.get(endpoint.id, Backlog())
            self._figures.backlog(endpoint.name, backlog, self._capacity(endpoint))
            watched = self._watch(endpoint)
            watched.backlog = backlog
            plan = await self._plan_of(endpoint) if endpoint.active_version is not None else None
            if plan is not None:
                async with self._turn:
                    await self._follow(endpoint, plan, watched)

    async def step(self, policy_id: str, beyond: float, cause: str) -> str:
        """Run a step policy: its metric is so far beyond its alarm's threshold. What came of it, in words.

        Raises:
            NotFound: no such policy.
        """
        async with self._turn:
            for endpoint in await self._deployer.endpoints():
                plan = await self._plan_of(endpoint)
                policy = next((one for one in plan.policies if one.id == policy_id), None) if plan else None
                if plan is not None and policy is not None and isinstance(policy.rule, Stepping):
                    return await self._step(endpoint, plan, policy.rule, beyond, f"{cause} (policy {policy.name})")
        raise NotFound(SCALING_NOT_FOUND, f"There is no step scaling policy {policy_id}.")

    async def _step(self, endpoint: Endpoint, plan: Plan, rule: Stepping, beyond: float, cause: str) -> str:
        now_ms, desired = self._clock.now_ms(), endpoint.workers_desired
        watched = self._watch(endpoint)
        cooling = watched.grown is not None and now_ms < watched.grown.at_ms + rule.cooldown_seconds * 1000
        base = watched.grown.before if watched.grown is not None and cooling else desired
        wanted = rule.wanted(base, beyond)
        if wanted is None:
            return f"no step is meant for {beyond:g} beyond the threshold"
        wanted = plan.within(wanted)
        if wanted > desired:
            return await self._grow(endpoint, plan, watched, wanted, cause)
        floor = highest_floor(
            watched.wishes[one.id].highest(0, now_ms) if one.id in watched.wishes else 0 for one in plan.policies
        )
        wanted = max(wanted, plan.within(floor or 0))
        if wanted >= desired:
            return f"{desired} workers, as wanted"
        if not may_shrink(watched.grown, watched.shrunk, rule.cooldown_seconds, now_ms):
            return "the cooldown of the last scaling lasts"
        return await self._shrink(endpoint, plan, watched, wanted, cause)

    async def _follow(self, endpoint: Endpoint, plan: Plan, watched: _Watched) -> None:
        """One look at one endpoint."""
        endpoint = await self._deployer.endpoint(endpoint.name)
        now_ms, desired = self._clock.now_ms(), endpoint.workers_desired
        if desired != watched.set_to:  # by hand, or by a new version: what was ours is over
            watched.grown = watched.shrunk = None
        if desired != plan.within(desired):
            cause = f"its limits are {plan.minimum} to {plan.maximum}"
            await self._move(endpoint, watched, plan.within(desired), cause)
            return
        watched.held_back = None
        wanted, cause, cooldown = self._wanted(endpoint, plan, watched)
        wanted = plan.within(wanted)
        if wanted > desired and not may_grow(wanted, watched.grown, cooldown, now_ms):
            watched.held_back = "the cooldown of the last scaling out lasts"
            wanted = desired
        if wanted == 0 and self._must_wake(endpoint, plan, watched):
            wanted, cause = plan.within(1), WOKEN
        if wanted > desired:
            await self._grow(endpoint, plan, watched, wanted, cause)
        else:
            await self._relax(endpoint, plan, watched)

    def _wanted(self, endpoint: Endpoint, plan: Plan, watched: _Watched) -> tuple[int, str, int]:
        """How many workers the tracking policies want, if more than there are; why, and the cooldown of that."""
        backlog, now_ms = watched.backlog.size, self._clock.now_ms()
        best = (endpoint.workers_desired, "", 0)
        for policy, rule in _tracking(plan):
            wish = tracked(rule.target, backlog)
            watched.wishes.setdefault(policy.id, Wishes(now_ms)).add(wish, now_ms)
            asleep = endpoint.workers_desired == 0 and backlog <= rule.target
            if wish > best[0] and not asleep:
                cause = f"{backlog} jobs queued and running, {rule.target:g} wanted for each worker"
                best = (wish, f"{cause} (policy {policy.name})", rule.scale_out_seconds)
        return best

    def _must_wake(self, endpoint: Endpoint, plan: Plan, watched: _Watched) -> bool:
        """A job waits, nobody is there to take it, and no alarm sees to that in its time."""
        backlog = watched.backlog
        if backlog.oldest_ms is None or self._outside_workers(endpoint.name):
            return False
        patiences = (self._patience_seconds(endpoint.name, one.id) for one in plan.policies)
        patience = min((one for one in patiences if one is not None), default=None)
        waited_ms = self._clock.now_ms() - backlog.oldest_ms
        return patience is None or waited_ms >= (patience + SCALING_WAKE_LATE_SECONDS) * 1000

    async def _relax(self, endpoint: Endpoint, plan: Plan, watched: _Watched) -> None:
        """Scale in to what the tracking policies have wanted at the most for as long as each of them waits."""
        rules = list(_tracking(plan))
        if not rules or plan.paused_in or not all(rule.scale_in for _, rule in rules):
            return
        now_ms = self._clock.now_ms()
        floor = highest_floor(
            watched.wishes[policy.id].highest(rule.scale_in_seconds, now_ms) for policy, rule in rules
        )
        if floor is None or plan.within(floor) >= endpoint.workers_desired:
            return
        wait_seconds = max(rule.scale_in_seconds for _, rule in rules)
        if may_shrink(watched.grown, watched.shrunk, wait_seconds, now_ms):
            cause = f"no more than {plan.within(floor)} were wanted for {wait_seconds} s"
            await self._shrink(endpoint, plan, watched, plan.within(floor), cause)

    async def _grow(self, endpoint: Endpoint, plan: Plan, watched: _Watched, wanted: int, cause: str) -> str:
        if plan.paused_out:
            watched.held_back = "scaling out is suspended"
            return watched.held_back
        granted = self._room(endpoint, wanted)
        if granted < wanted:
            watched.held_back = f"the machine has no room for more than {granted} workers; {wanted} were wanted"
        if granted <= endpoint.workers_desired:
            return watched.held_back or ""
        return await self._move(endpoint, watched, granted, cause)

    async def _shrink(self, endpoint: Endpoint, plan: Plan, watched: _Watched, wanted: int, cause: str) -> str:
        if plan.paused_in:
            return "scaling in is suspended"
        return await self._move(endpoint, watched, wanted, cause)

    def _room(self, endpoint: Endpoint, wanted: int) -> int:
        present, ready = endpoint.workers_desired, self._deployer.workers(endpoint.name)
        worker_bytes = self._deployer.worker_memory_bytes(endpoint.name)
        free_bytes = self._machine.free_memory_bytes() - SCALING_MEMORY_KEPT_BYTES
        loading_bytes = max(0, present - ready) * (worker_bytes or 0)  # that they will take
        cores_max = self._machine.cores * SCALING_WORKERS_PER_CORE_MAX
        return room_for(wanted, present, free_bytes - loading_bytes, worker_bytes, cores_max)

    async def _move(self, endpoint: Endpoint, watched: _Watched, wanted: int, cause: str) -> str:
        before, now_ms = endpoint.workers_desired, self._clock.now_ms()
        try:
            await self._deployer.scale(endpoint.name, wanted)
        except SeatrialError as error:  # it was deleted meanwhile
            return error.message
        watched.set_to = wanted
        scaled, out = Scaled(now_ms, before, wanted), wanted > before
        if out:
            watched.grown = scaled
        else:
            watched.shrunk = scaled
        said = f"{before} to {wanted} workers: {cause}"
        log.info("endpoint.scaled", endpoint=endpoint.name, before=before, after=wanted, cause=cause)
        event = EndpointEvent(
            id=str(uuid.uuid4()),
            endpoint_id=endpoint.id,
            version_id=endpoint.active_version,
            at_ms=now_ms,
            kind=EventKind.SCALING,
            word="out" if out else "in",
            message=said,
            details={"from": before, "to": wanted, "cause": cause},
        )
        await self._registry.add_events([event])
        return said

    # ------------------------------------------------------------------ inside

    def _capacity(self, endpoint: Endpoint) -> int:
        return self._deployer.workers(endpoint.name) + self._outside_workers(endpoint.name)

    def _watch(self, endpoint: Endpoint) -> _Watched:
        return self._watched.setdefault(endpoint.id, _Watched({}))

    async def _forget_all_but(self, endpoints: Sequence[Endpoint]) -> None:
        names = {one.id: one.name for one in endpoints}
        for gone in set(self._names) - set(names):
            self._figures.forget(self._names[gone])
            self._watched.pop(gone, None)
        for gone in set(self._kept) - set(names):
            del self._kept[gone]
            try:
                await self._registry.remove_document(PLANS, gone)
            except NotThere:
                pass
        self._names = names


def _tracking(plan: Plan) -> list[tuple[Policy, Tracking]]:
    return [(one, one.rule) for one in plan.policies if isinstance(one.rule, Tracking)]


def _check_limits(minimum: int, maximum: int) -> None:
    problem = problem_of_limits(minimum, maximum, WORKERS_PER_ENDPOINT_MAX)
    if problem is not None:
        valid = f"0 <= min <= max <= {WORKERS_PER_ENDPOINT_MAX}"
        raise BadInput(INVALID_FIELD, problem, field="min" if minimum < 0 or minimum > maximum else "max", valid=valid)
