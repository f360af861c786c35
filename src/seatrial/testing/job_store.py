"""What every job store must do, by example; `job_machine` has the state machine.

Use: subclass `JobStoreExamples` in a pytest module with a fixture `world`: a fresh `World` after `furnish()`.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from seatrial.domain.commands import (
    Arrive,
    Arrived,
    Beat,
    Beaten,
    Cancel,
    CancelAccepted,
    CancelQueued,
    CancelRefused,
    Claim,
    Closed,
    CloseLapsed,
    CloseServerSessions,
    CloseSession,
    EndpointGone,
    Expire,
    Expired,
    FailQueued,
    Finish,
    Finished,
    ForgetJobs,
    ForgetKeys,
    Forgotten,
    IdempotencyKey,
    JobCommand,
    JobOutcome,
    KeyConflict,
    NameTaken,
    NoSuchJob,
    Opened,
    OpenSession,
    Outcome,
    QueueFull,
    Release,
    Released,
    SessionGone,
    StagedPart,
    Stale,
    Submit,
    Submitted,
    Take,
    Taken,
)
from seatrial.domain.endpoint import Endpoint, EndpointStatus, EndpointVersion, PackageRef, VersionSettings
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import Backlog, Job, JobFilter, JobInput, JobPurpose, JobState, NewJob, OutputPlan
from seatrial.domain.limits import (
    AFFINITY_HEAD_START_MS,
    AFFINITY_WAIT_MS,
    EXCLUSIVE_PATIENCE_SECONDS,
    PRIORITY_AGE_SECONDS,
    ROW_INLINE_BYTES_MAX,
)
from seatrial.domain.memory import MemoryUse
from seatrial.domain.objects import ObjectName, ObjectRef, Sealed
from seatrial.domain.triggers import Origin, Trigger, TriggerKind
from seatrial.ports.job_store import JobStore
from seatrial.ports.registry import Registry

OWNER = "000000000000"
ENDPOINT = Endpoint("e1", "echo", OWNER, EndpointStatus.IN_SERVICE, 1, 1, active_version="v1", target_version="v2")
BUCKET = "out"
NO_BUCKET = "never-made"
DEATH = Failure("worker_crashed", "The worker died.", {"signal": "SIGKILL", "remedy": "Look why."})
FAILURE = Failure("handler_error", "It raised.", {"traceback": "…", "remedy": "Mend it."})

T = TypeVar("T")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class World:
    """A job store with what its commands touch. `read` gives an object's bytes, or None where there is none."""

    store: JobStore
    registry: Registry
    create_bucket: Callable[[str], Awaitable[None]]
    read: Callable[[ObjectName], Awaitable[bytes | None]]

    async def do(self, command: JobCommand) -> JobOutcome:
        """One command in a call of its own."""
        (outcome,) = await self.store.apply([command])
        return outcome

    async def furnish(self) -> None:
        """The endpoint `echo` with an active and a second version, and the bucket `out`."""
        await self.registry.create_endpoint(ENDPOINT, version("v1", 1))
        await self.registry.add_version(version("v2", 2))
        await self.create_bucket(BUCKET)


def version(name: str, number: int) -> EndpointVersion:
    """A version of the endpoint."""
    return EndpointVersion(name, ENDPOINT.id, ENDPOINT.name, number, PackageRef("0" * 64, "p"), VersionSettings(), 1)


def new_job(**changes: Any) -> NewJob:
    """A client's job with a new id and names of its own."""
    job_id = f"job-{next(_numbers):08}"
    plain = NewJob(
        id=job_id,
        owner=OWNER,
        endpoint_id=ENDPOINT.id,
        endpoint_name=ENDPOINT.name,
        input=JobInput("application/json", inline=b'{"x": 1}'),
        output=OutputPlan(ObjectName(BUCKET, f"{job_id}.out"), ObjectName(BUCKET, f"{job_id}-error.out")),
        submitted_at_ms=1_000,
        queue_ttl_ms=60_000,
        invocation_timeout_ms=10_000,
        decide_by_ms=200_000,
        door="v1",
        attributes={"inference_id": "ä"},
    )
    return replace(plain, **changes)


def submission(depth: int = 100_000, key: IdempotencyKey | None = None, **changes: Any) -> Submit:
    """A Submit of a new job."""
    return Submit(new_job(**changes), depth, key)


UPLOAD = ObjectName("seatrial-inputs", "echo/uploads/plan.png")


def awaiting(job_id: str, depth: int = 100_000, **changes: Any) -> Submit:
    """A Submit of a job whose input is still to come, until 31,000."""
    trigger = Trigger(
        job_id, OWNER, UPLOAD.bucket, TriggerKind.UPLOAD, job_id, Origin.UPLOAD, job_id, 1_000, key=UPLOAD.key
    )
    job_input = JobInput("image/png", ref=ObjectRef(UPLOAD, ""))
    return submission(depth, id=job_id, input=job_input, upload=trigger, upload_by_ms=31_000, **changes)


def arrival(job_id: str, now_ms: int = 20_000, failure: Failure | None = None) -> Arrive:
    """The object has come."""
    return Arrive(job_id, now_ms, JobInput("image/png", ref=ObjectRef(UPLOAD, "etag")), 60_000, failure)


KEY_LIFE_MS = 7 * 86_400_000


def idempotency(key: str, fingerprint: str = "f", door: str = "v1") -> IdempotencyKey:
    """A key of the owner for the endpoint."""
    return IdempotencyKey(OWNER, ENDPOINT.id, door, key, fingerprint, KEY_LIFE_MS)


def tokens(n: int) -> tuple[str, ...]:
    """Fresh tokens; a test need not be unpredictable."""
    return tuple(f"{next(_numbers):032x}" for _ in range(n))


def sealed(body: bytes) -> Sealed:
    """Small bytes, sealed."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Sealed(len(body), hashlib.sha256(body).hexdigest(), md5, inline=body)


def part(job: Job, body: bytes = b"result", name: str = "result", **changes: Any) -> StagedPart:
    """A staged part; without changes the primary at the job's own name."""
    return replace(StagedPart(name, job.output.result, sealed(body), "application/json"), **changes)


def success(claim: Claim, *parts: StagedPart, now_ms: int = 3_000, **changes: Any) -> Finish:
    """A Finish with these parts, or with a primary of its own."""
    return Finish(claim.token, Outcome.SUCCEEDED, now_ms, parts or (part(claim.job),), **changes)


def as_a(kind: type[T], outcome: JobOutcome) -> T:
    """The outcome, which must be of that kind."""
    assert isinstance(outcome, kind), outcome
    return outcome


async def open_session(world: World, name: str = "s1", version_id: str = "v1", server: str = "server-1") -> str:
    """Open a session; its id."""
    outcome = await world.do(OpenSession(name, ENDPOINT.id, version_id, "processes", server, 1_500))
    assert outcome == Opened()
    return name


async def take(world: World, session: str, n: int, now_ms: int = 2_000, prefer: Sequence[str] = ()) -> list[Claim]:
    """Take up to n."""
    outcome = await world.do(Take(session, tokens(n), now_ms, frozenset(prefer)))
    return list(as_a(Taken, outcome).claims)


async def submit(world: World, **changes: Any) -> str:
    """Submit a new job; its id."""
    return as_a(Submitted, await world.do(submission(**changes))).job_id


async def held(world: World, **changes: Any) -> Claim:
    """Submit a job and take it in a session of its own."""
    job_id = await submit(world, **changes)
    session = await open_session(world, f"session-of-{job_id}")
    (claim,) = await take(world, session, 1)
    assert claim.job.id == job_id
    return claim


async def job_of(world: World, job_id: str) -> Job:
    """The job, which must be there."""
    job = await world.store.job(job_id)
    assert job is not None
    return job


def error_type(job: Job) -> str:
    """The word of the job's failure."""
    assert job.failure is not None
    return str(job.failure["error_type"])


class SubmissionExamples:
    """Accepting jobs."""

    async def test_an_accepted_job_reads_back_whole(self, world: World) -> None:
        ref = ObjectRef(ObjectName("in", "ключ/k"), "etag")
        new = new_job(input=JobInput("image/png", ref=ref), task="t", accept="a/b", priority=2, retry_of="older")
        assert await world.do(Submit(new, 10)) == Submitted(new.id)
        job = await job_of(world, new.id)
        assert job.input == new.input
        assert job.output == new.output
        assert (job.state, job.attempt, job.deaths) == (JobState.QUEUED, 0, 0)
        assert (job.task, job.accept, job.priority, job.retry_of) == ("t", "a/b", 2, "older")
        assert job.attributes == {"inference_id": "ä"}
        assert (job.submitted_at_ms, job.queue_deadline_ms, job.decide_by_ms) == (1_000, 61_000, 200_000)
        assert (job.started_at_ms, job.ended_at_ms, job.parts, job.failure) == (None, None, (), None)

    async def test_inline_input_up_to_its_limit(self, world: World) -> None:
        for body in (b"", bytes(range(256)) * (ROW_INLINE_BYTES_MAX // 256)):
            job_id = await submit(world, input=JobInput("x/y", inline=body))
            assert (await job_of(world, job_id)).input.inline == body

    async def test_an_unknown_job_is_none(self, world: World) -> None:
        assert await world.store.job("nobody") is None

    async def test_a_repeated_submit_changes_nothing(self, world: World) -> None:
        command = submission()
        assert await world.do(command) == Submitted(command.job.id)
        job = await job_of(world, command.job.id)
        assert await world.do(command) == Submitted(command.job.id, existing=True, job=job)
        first, second = await world.store.apply([(again := submission()), again])
        assert first == Submitted(again.job.id)
        assert second == Submitted(again.job.id, existing=True, job=await job_of(world, again.job.id))
        assert await world.store.counts(ENDPOINT.id) == {JobState.QUEUED: 2}

    async def test_the_same_key_gives_the_same_job(self, world: World) -> None:
        first = submission(key=idempotency("k"))
        await world.do(first)
        job = await job_of(world, first.job.id)
        assert await world.do(submission(key=idempotency("k"))) == Submitted(job.id, existing=True, job=job)
        assert await world.do(submission(key=idempotency("k", "another"))) == KeyConflict(job.id)
        for other in (idempotency("k", door="aws"), idempotency("K"), idempotency('k", "')):
            assert not as_a(Submitted, await world.do(submission(key=other))).existing

    async def test_a_key_twice_in_one_call(self, world: World) -> None:
        first, second, third = [submission(key=idempotency("k", word)) for word in ("f", "f", "g")]
        outcomes = await world.store.apply([first, second, third])
        assert outcomes[0] == Submitted(first.job.id)
        assert as_a(Submitted, outcomes[1]).job == await job_of(world, first.job.id)
        assert outcomes[2] == KeyConflict(first.job.id)

    async def test_a_key_lives_as_long_as_its_job_and_its_days(self, world: World) -> None:
        first = submission(key=idempotency("k"))
        await world.do(first)
        long_after = submission(key=idempotency("k", "g"), submitted_at_ms=1_000 + 10 * KEY_LIFE_MS)
        assert await world.do(long_after) == KeyConflict(first.job.id), "the job has not ended"
        ended_ms = as_a(CancelAccepted, await world.do(Cancel(first.job.id, 2_000))).job.ended_at_ms or 0
        late = submission(key=idempotency("k", "g"), submitted_at_ms=ended_ms + KEY_LIFE_MS - 1)
        assert await world.do(late) == KeyConflict(first.job.id)
        later = submission(key=idempotency("k", "g"), submitted_at_ms=ended_ms + KEY_LIFE_MS)
        assert await world.do(later) == Submitted(later.job.id)
        assert await world.do(replace(first, job=new_job())) == KeyConflict(later.job.id)

    async def test_a_key_can_be_looked_up(self, world: World) -> None:
        first = submission(key=idempotency("k"))
        assert await world.store.made_before(idempotency("k"), 1_000) is None
        await world.do(first)
        job = await job_of(world, first.job.id)
        assert await world.store.made_before(idempotency("k"), 1_000) == Submitted(job.id, existing=True, job=job)
        assert await world.store.made_before(idempotency("k", "g"), 1_000) == KeyConflict(job.id)
        await world.do(Cancel(first.job.id, 2_000))
        assert await world.store.made_before(idempotency("k"), 2_000 + KEY_LIFE_MS) is None

    async def test_keys_are_forgotten_some_time_after_their_job(self, world: World) -> None:
        first, second, third = [submission(key=idempotency(word)) for word in ("a", "b", "c")]
        await world.store.apply([first, second, third])
        await world.store.apply([Cancel(first.job.id, 2_000), Cancel(second.job.id, 3_000)])
        assert await world.do(ForgetKeys(1_999, 10)) == Forgotten(0)
        assert await world.do(ForgetKeys(2_000, 10)) == Forgotten(1)
        assert await world.store.made_before(idempotency("a"), 2_000) is None
        assert await world.store.made_before(idempotency("b"), 2_000) is not None
        assert await world.do(ForgetKeys(10**15, 10)) == Forgotten(1)
        assert await world.store.made_before(idempotency("c"), 10**14) is not None, "its job has not ended"

    async def test_ended_jobs_are_forgotten(self, world: World) -> None:
        claim = await held(world)
        first, second, third = [submission() for _ in range(3)]
        await world.store.apply([first, second, third])
        await world.store.apply([Cancel(first.job.id, 2_000), Cancel(second.job.id, 3_000)])
        ids = (claim.job.id, first.job.id, second.job.id, third.job.id)
        assert await world.store.ended_until(1_999, 10) == []
        assert await world.store.ended_until(10**15, 10) == [first.job.id, second.job.id]
        assert await world.store.ended_until(10**15, 1) == [first.job.id]
        assert await world.do(ForgetJobs(ids, 2_999)) == Forgotten(1)
        assert await world.do(ForgetJobs(ids, 2_999)) == Forgotten(0)
        assert await world.store.job(first.job.id) is None
        assert (await job_of(world, second.job.id)).ended
        assert await world.do(ForgetJobs(ids, 10**15)) == Forgotten(1)
        counts = await world.store.counts(ENDPOINT.id)
        assert counts == {JobState.QUEUED: 1, JobState.RUNNING: 1}
        assert isinstance(await world.do(success(claim)), Finished), "what has not ended is not forgotten"

    async def test_a_forgotten_job_frees_its_key(self, world: World) -> None:
        first = submission(key=idempotency("k"))
        await world.do(first)
        await world.do(Cancel(first.job.id, 2_000))
        await world.do(ForgetJobs((first.job.id,), 2_000))
        again = submission(key=idempotency("k", "g"))
        assert await world.do(again) == Submitted(again.job.id)
        assert await world.do(ForgetKeys(2_000, 10)) == Forgotten(0), "it is the new job's now"

    async def test_inputs_that_jobs_name(self, world: World) -> None:
        ref = ObjectRef(ObjectName("in", "a"), "e")
        named = submission(input=JobInput("application/json", ref=ref))
        await world.do(named)
        assert await world.store.inputs_named("in", ["a", "b"]) == {"a"}
        assert await world.store.inputs_named("other", ["a"]) == set()
        await world.do(Cancel(named.job.id, 2_000))
        assert await world.store.inputs_named("in", ["a"]) == {"a"}, "a retry would read it"
        await world.do(ForgetJobs((named.job.id,), 2_000))
        assert await world.store.inputs_named("in", ["a"]) == set()

    async def test_a_key_outlives_the_end_of_its_job(self, world: World) -> None:
        claim = await held(world, key=idempotency("k"))
        await world.do(success(claim))
        outcome = as_a(Submitted, await world.do(submission(key=idempotency("k"))))
        assert outcome.existing
        assert outcome.job == await job_of(world, claim.job.id)
        assert outcome.job.ended

    async def test_a_full_queue_refuses_and_fails_no_neighbour(self, world: World) -> None:
        outcomes = await world.store.apply([submission(depth=2) for _ in range(3)])
        assert [type(one) for one in outcomes] == [Submitted, Submitted, QueueFull]
        assert outcomes[2] == QueueFull(depth=2, limit=2)

    async def test_running_jobs_are_depth_and_ended_ones_are_not(self, world: World) -> None:
        claim = await held(world)
        assert await world.do(submission(depth=1)) == QueueFull(1, 1)
        await world.do(success(claim))
        assert isinstance(await world.do(submission(depth=1)), Submitted)

    async def test_trials_neither_count_nor_wait_for_room(self, world: World) -> None:
        await submit(world, depth=1)
        assert isinstance(await world.do(submission(depth=1, purpose=JobPurpose.TRIAL)), Submitted)
        assert isinstance(await world.do(submission(depth=2)), Submitted)
        assert await world.store.counts(ENDPOINT.id) == {JobState.QUEUED: 2}

    async def test_a_name_belongs_to_one_unfinished_job(self, world: World) -> None:
        claim = await held(world)
        plan = claim.job.output
        crossed = OutputPlan(result=plan.failure, failure=ObjectName(BUCKET, "free"))
        for output, name in ((plan, plan.result), (crossed, plan.failure)):
            assert await world.do(submission(output=output)) == NameTaken(name, claim.job.id)
        await world.do(success(claim))
        assert isinstance(await world.do(submission(output=crossed)), Submitted)

    async def test_a_name_twice_in_one_call(self, world: World) -> None:
        one = ObjectName(BUCKET, "one")
        first, second = submission(output=OutputPlan(one, one)), submission(output=OutputPlan(one, one))
        assert await world.store.apply([first, second]) == [Submitted(first.job.id), NameTaken(one, first.job.id)]

    async def test_an_endpoint_must_be_there_and_stay(self, world: World) -> None:
        assert await world.do(submission(endpoint_id="unknown")) == EndpointGone()
        await world.registry.save_endpoint(replace(ENDPOINT, status=EndpointStatus.DELETING))
        assert await world.do(submission()) == EndpointGone()

    async def test_a_repeat_is_answered_also_when_full_or_gone(self, world: World) -> None:
        command = submission(depth=1, key=idempotency("k"))
        await world.do(command)
        assert as_a(Submitted, await world.do(replace(command, job=new_job()))).existing
        await world.registry.save_endpoint(replace(ENDPOINT, status=EndpointStatus.DELETING))
        assert as_a(Submitted, await world.do(command)).existing


class TakeExamples:
    """Handing jobs out."""

    async def test_priority_first_then_oldest(self, world: World) -> None:
        ids = [await submit(world, priority=priority) for priority in (5, 0, 5, 9, 0)]
        session = await open_session(world)
        taken = [claim.job.id for claim in await take(world, session, 4)]
        assert taken == [ids[1], ids[4], ids[0], ids[2]]

    async def test_a_claim_tells_everything(self, world: World) -> None:
        job_id = await submit(world)
        session = await open_session(world)
        offered = tokens(2)
        (claim,) = as_a(Taken, await world.do(Take(session, offered, 2_000))).claims
        assert claim.token == offered[0]
        assert claim.attempt == claim.job.attempt == 1
        assert claim.time_left_ms == 198_000
        assert claim.job.state is JobState.RUNNING
        assert claim.job.started_at_ms == 2_000
        assert claim.job == await job_of(world, job_id)

    async def test_a_take_sees_what_its_call_submitted(self, world: World) -> None:
        session = await open_session(world)
        command = submission()
        _, taken = await world.store.apply([command, Take(session, tokens(1), 2_000)])
        assert [claim.job.id for claim in as_a(Taken, taken).claims] == [command.job.id]

    async def test_a_repeated_take_gives_the_same_claims(self, world: World) -> None:
        for _ in range(3):
            await submit(world)
        session = await open_session(world)
        command = Take(session, tokens(2), 2_000)
        first = as_a(Taken, await world.do(command))
        assert len(first.claims) == 2
        assert await world.do(command) == first
        await world.do(success(first.claims[0]))
        assert await world.do(command) == Taken(first.claims[1:])

    async def test_without_a_session_nothing_is_taken(self, world: World) -> None:
        await submit(world)
        assert await world.do(Take("unknown", tokens(1), 2_000)) == SessionGone()
        session = await open_session(world)
        await world.do(CloseSession(session, 2_000))
        assert await world.do(Take(session, tokens(1), 2_000)) == SessionGone()

    async def test_a_session_of_no_version_does_not_open(self, world: World) -> None:
        assert await world.do(OpenSession("s", ENDPOINT.id, "unknown", "processes", "s", 1)) == SessionGone()
        assert await world.do(OpenSession("s", "unknown", "v1", "processes", "s", 1)) == SessionGone()

    async def test_versions_get_their_own_and_the_active_one_the_rest(self, world: World) -> None:
        plain = await submit(world)
        trial = await submit(world, version_id="v2", purpose=JobPurpose.TRIAL)
        pinned = await submit(world, version_id="v1", priority=0)
        active, target = await open_session(world, "a", "v1"), await open_session(world, "t", "v2")
        assert [claim.job.id for claim in await take(world, target, 5)] == [trial]
        assert [claim.job.id for claim in await take(world, active, 5)] == [pinned, plain]
        later = await submit(world)
        await world.registry.save_endpoint(replace(ENDPOINT, active_version="v2"))
        assert await take(world, active, 5) == []
        assert [claim.job.id for claim in await take(world, target, 5)] == [later]

    async def test_what_a_session_prefers_has_a_head_start(self, world: World) -> None:
        plan = [("b", 5), (None, 5), ("a", 5), ("a", 5), ("b", 4)]
        ids = [await submit(world, affinity=affinity, priority=priority) for affinity, priority in plan]
        session = await open_session(world)
        taken = [claim.job.id for claim in await take(world, session, 4, prefer=["a", "unknown"])]
        assert taken == [ids[4], ids[2], ids[3], ids[0]]

    async def test_each_level_of_priority_is_worth_its_seconds_of_waiting(self, world: World) -> None:
        age_ms = PRIORITY_AGE_SECONDS * 1_000
        low = await submit(world, priority=9)
        before, after = [await submit(world, priority=0, submitted_at_ms=1_000 + 9 * age_ms + n) for n in (-1, 1)]
        session = await open_session(world)
        assert [claim.job.id for claim in await take(world, session, 3)] == [before, low, after]

    async def test_the_head_start_of_an_affinity_is_bounded(self, world: World) -> None:
        old = await submit(world)
        within = await submit(world, affinity="a", submitted_at_ms=1_000 + AFFINITY_HEAD_START_MS - 1)
        beyond = await submit(world, affinity="a", submitted_at_ms=1_000 + AFFINITY_HEAD_START_MS + 1)
        session = await open_session(world)
        assert [claim.job.id for claim in await take(world, session, 3, prefer=["a"])] == [within, old, beyond]

    async def test_a_claim_tells_its_affinity(self, world: World) -> None:
        assert (await held(world, affinity="a")).job.affinity == "a"

    async def test_what_an_idle_session_holds_is_left_to_it_for_a_while(self, world: World) -> None:
        job_id = await submit(world, affinity="a")
        plain = await submit(world)
        session = await open_session(world)

        async def taken(now_ms: int) -> list[str]:
            outcome = await world.do(Take(session, tokens(2), now_ms, elsewhere=frozenset({"a"})))
            return [claim.job.id for claim in as_a(Taken, outcome).claims]

        assert await taken(1_000 + AFFINITY_WAIT_MS - 1) == [plain]
        assert await taken(1_000 + AFFINITY_WAIT_MS) == [job_id]

    async def test_who_holds_it_too_need_not_leave_it(self, world: World) -> None:
        job_id = await submit(world, affinity="a")
        session = await open_session(world)
        both = frozenset({"a"})
        outcome = await world.do(Take(session, tokens(1), 1_001, prefer=both, elsewhere=both))
        assert [claim.job.id for claim in as_a(Taken, outcome).claims] == [job_id]

    async def test_no_job_is_handed_out_twice(self, world: World) -> None:
        ids = {await submit(world) for _ in range(20)}
        sessions = [await open_session(world, f"s{n}") for n in range(15)]
        taken = await asyncio.gather(*(take(world, session, 2) for session in sessions))
        claims = [claim.job.id for claims in taken for claim in claims]
        assert len(claims) == 20
        assert set(claims) == ids


class FairnessExamples:
    """How many run at once, and what runs alone."""

    async def limited(self, world: World, n: int, now_ms: int = 2_000, **limits: Any) -> tuple[list[Claim], bool]:
        await open_session(world)
        outcome = as_a(Taken, await world.do(Take("s1", tokens(n), now_ms, **limits)))
        return list(outcome.claims), outcome.held_back

    async def test_an_endpoint_runs_so_many_at_once(self, world: World) -> None:
        for _ in range(4):
            await submit(world)
        trial = await submit(world, purpose=JobPurpose.TRIAL, version_id="v1", priority=0)
        claims, _ = await self.limited(world, 5, endpoint_running_max=3)
        assert len(claims) == 3
        assert claims[0].job.id == trial
        (third,), _ = await self.limited(world, 5, endpoint_running_max=3)
        assert await self.limited(world, 5, endpoint_running_max=3) == ([], True)
        await world.do(success(third))
        assert len((await self.limited(world, 5, endpoint_running_max=3))[0]) == 1

    async def test_an_owner_runs_so_many_at_once_and_others_pass(self, world: World) -> None:
        many = [await submit(world, owner="many") for _ in range(3)]
        other = await submit(world, owner="other")
        claims, held_back = await self.limited(world, 4, owner_running_max=2)
        assert {claim.job.id for claim in claims} == {*many[:2], other}
        assert held_back
        assert (await self.limited(world, 4, owner_running_max=2))[0] == []
        await world.do(success(claims[0]))
        assert [claim.job.id for claim in (await self.limited(world, 4, owner_running_max=2))[0]] == [many[2]]

    async def test_an_exclusive_job_waits_for_those_that_run_and_runs_alone(self, world: World) -> None:
        running = await held(world, device_group="gpu")
        training = await submit(world, device_group="gpu", exclusive=True)
        plain = await submit(world, device_group="gpu")
        claims, _ = await self.limited(world, 1)
        assert [claim.job.id for claim in claims] == [plain]
        assert await self.limited(world, 1) == ([], True)
        for claim in (running, *claims):
            await world.do(success(claim))
        await submit(world, device_group="gpu")
        (alone,), held_back = await self.limited(world, 5)
        assert (alone.job.id, alone.job.exclusive, held_back) == (training, True, True)
        assert await self.limited(world, 5) == ([], True)
        await world.do(success(alone))
        assert len((await self.limited(world, 5))[0]) == 1

    async def test_an_overdue_exclusive_job_holds_the_others_back(self, world: World) -> None:
        late_ms = 1_000 + EXCLUSIVE_PATIENCE_SECONDS * 1_000
        running = await held(world, device_group="gpu")
        for _ in range(3):
            await submit(world, device_group="gpu")
        training = await submit(world, device_group="gpu", exclusive=True)
        (one,), _ = await self.limited(world, 1, late_ms - 1)
        assert await self.limited(world, 1, late_ms) == ([], True)
        for claim in (running, one):
            await world.do(success(claim))
        (alone,), _ = await self.limited(world, 1, late_ms)
        assert alone.job.id == training

    async def test_after_an_exclusive_job_the_others_have_their_time(self, world: World) -> None:
        first = await held(world, device_group="gpu", exclusive=True)
        patience_ms = EXCLUSIVE_PATIENCE_SECONDS * 1_000
        plain = [await submit(world, device_group="gpu") for _ in range(2)]
        second = await submit(world, device_group="gpu", exclusive=True)
        await world.do(success(first, now_ms=100_000))
        (claim,), _ = await self.limited(world, 1, 100_001)
        assert claim.job.id == plain[0]
        await world.do(success(claim, now_ms=100_002))
        (claim,), _ = await self.limited(world, 1, 100_000 + patience_ms)
        assert claim.job.id == second

    async def test_an_exclusive_job_without_a_worker_holds_nobody_back(self, world: World) -> None:
        other = replace(ENDPOINT, id="e2", name="other", active_version="w1")
        await world.registry.create_endpoint(other, replace(version("w1", 1), endpoint_id="e2"))
        await submit(world, endpoint_id="e2", endpoint_name="other", device_group="gpu", exclusive=True)
        await submit(world, device_group="gpu")
        late_ms = 2_000 + EXCLUSIVE_PATIENCE_SECONDS * 1_000
        assert len((await self.limited(world, 1, late_ms))[0]) == 1

    async def test_a_device_group_spans_endpoints_and_others_are_free(self, world: World) -> None:
        other = replace(ENDPOINT, id="e2", name="other", active_version="w1")
        await world.registry.create_endpoint(other, replace(version("w1", 1), endpoint_id="e2"))
        training = await submit(
            world, endpoint_id="e2", endpoint_name="other", device_group="gpu", exclusive=True, priority=0
        )
        await world.do(OpenSession("s2", "e2", "w1", "processes", "server-1", 1))
        (claim,) = await take(world, "s2", 3)
        assert claim.job.id == training
        await submit(world, device_group="gpu")
        free = await submit(world, device_group="another")
        await submit(world)
        assert await self.limited(world, 1) == ([], True)
        await world.do(success(claim))
        assert len((await self.limited(world, 3))[0]) == 3
        assert (await job_of(world, free)).state is JobState.RUNNING


class FinishExamples:
    """Decisions."""

    async def test_a_success_shows_all_parts_with_the_state(self, world: World) -> None:
        claim = await held(world)
        side = part(claim.job, b"\x00mask", "mask", object=ObjectName(BUCKET, "m.png"), media_type="image/png")
        finished = as_a(Finished, await world.do(success(claim, side, part(claim.job, b"{}"), started_at_ms=2_500)))
        job = finished.job
        assert not finished.repeated
        assert (job.state, job.started_at_ms, job.ended_at_ms, job.failure) == (JobState.SUCCEEDED, 2_500, 3_000, None)
        assert [(one.name, one.object, one.size_bytes, one.media_type) for one in job.parts] == [
            ("mask", ObjectName(BUCKET, "m.png"), 5, "image/png"),
            ("result", claim.job.output.result, 2, "application/json"),
        ]
        assert job.parts[1].sha256 == hashlib.sha256(b"{}").hexdigest()
        assert job == await job_of(world, job.id)
        assert await world.read(ObjectName(BUCKET, "m.png")) == b"\x00mask"
        assert await world.read(claim.job.output.result) == b"{}"
        assert await world.read(claim.job.output.failure) is None

    async def test_a_result_replaces_what_its_name_held(self, world: World) -> None:
        first = await held(world)
        await world.do(success(first, part(first.job, b"old")))
        second = await held(world, output=first.job.output)
        await world.do(success(second, part(second.job, b"new")))
        assert await world.read(first.job.output.result) == b"new"

    async def test_two_decisions_in_one_call(self, world: World) -> None:
        one, two = await held(world), await held(world)
        outcomes = await world.store.apply([success(one), success(two), success(one)])
        finished = [as_a(Finished, outcome) for outcome in outcomes]
        assert [outcome.job.id for outcome in finished] == [one.job.id, two.job.id, one.job.id]
        assert [outcome.repeated for outcome in finished] == [False, False, True]

    async def test_the_same_token_again_is_told_what_it_did(self, world: World) -> None:
        claim = await held(world)
        job = as_a(Finished, await world.do(success(claim))).job
        again = Finish(claim.token, Outcome.FAILED, 9_000, failure=FAILURE)
        assert await world.do(again) == Finished(job, repeated=True)
        assert await world.read(job.output.failure) is None

    async def test_other_tokens_prove_nothing(self, world: World) -> None:
        claim = await held(world)
        assert await world.do(replace(success(claim), token=tokens(1)[0])) == Stale()
        await world.do(CloseSession(f"session-of-{claim.job.id}", 2_500))
        assert await world.do(success(claim)) == Stale()
        assert (await job_of(world, claim.job.id)).state is JobState.QUEUED
        assert await world.read(claim.job.output.result) is None

    async def test_a_failure_is_kept_and_published(self, world: World) -> None:
        claim = await held(world)
        job = as_a(Finished, await world.do(Finish(claim.token, Outcome.FAILED, 3_000, failure=FAILURE))).job
        assert job.state is JobState.FAILED
        assert job.failure == {
            "status": "error",
            "message": "It raised.",
            "error": "It raised.",
            "error_type": "handler_error",
            "job_id": job.id,
            "attempt": 1,
            "details": FAILURE.details,
        }
        body = await world.read(job.output.failure)
        assert body is not None
        assert json.loads(body) == job.failure
        assert await world.read(job.output.result) is None
        assert job == await job_of(world, job.id)

    async def test_a_success_without_its_bucket_is_publish_failed(self, world: World) -> None:
        for missing_first in (True, False):
            claim = await held(world)
            parts = [part(claim.job, name="mask", object=ObjectName(NO_BUCKET, "m")), part(claim.job)]
            job = as_a(Finished, await world.do(success(claim, *(parts if missing_first else parts[::-1])))).job
            assert (job.state, error_type(job), job.parts) == (JobState.FAILED, "publish_failed", ())
            assert await world.read(parts[0].object) is None
            assert await world.read(parts[1].object) is None
            assert await world.read(job.output.failure) is not None

    async def test_without_the_failure_bucket_the_job_ends_all_the_same(self, world: World) -> None:
        output = OutputPlan(ObjectName(NO_BUCKET, "r"), ObjectName(NO_BUCKET, "f"))
        claim = await held(world, output=output)
        job = as_a(Finished, await world.do(success(claim))).job
        assert error_type(job) == "publish_failed"
        assert job.failure is not None
        assert NO_BUCKET in job.failure["details"]["not_published"]
        assert isinstance(await world.do(submission(output=output)), Submitted)


class CancelExamples:
    """Cancels, before and after everything else."""

    async def test_a_queued_job_ends_at_once(self, world: World) -> None:
        job_id = await submit(world)
        accepted = as_a(CancelAccepted, await world.do(Cancel(job_id, 5_000)))
        assert (accepted.session, accepted.token) == (None, None)
        assert (accepted.job.state, accepted.job.ended_at_ms) == (JobState.CANCELLED, 5_000)
        assert error_type(accepted.job) == "cancelled"
        assert await world.read(accepted.job.output.failure) is not None
        assert await world.do(Cancel(job_id, 5_000)) == accepted  # repeated after an unknown commit
        assert await world.do(Cancel(job_id, 6_000)) == CancelRefused(JobState.CANCELLED)

    async def test_of_a_running_job_the_wish_is_noted(self, world: World) -> None:
        claim = await held(world)
        accepted = as_a(CancelAccepted, await world.do(Cancel(claim.job.id, 5_000)))
        assert (accepted.session, accepted.token) == (f"session-of-{claim.job.id}", claim.token)
        assert accepted.job == await job_of(world, claim.job.id)
        assert accepted.job.cancel_requested
        assert await world.do(Cancel(claim.job.id, 6_000)) == accepted

    async def test_after_the_wish_only_the_cancel_can_finish(self, world: World) -> None:
        claim = await held(world)
        await world.do(Cancel(claim.job.id, 5_000))
        assert await world.do(success(claim)) == Stale()
        assert await world.do(Finish(claim.token, Outcome.FAILED, 5_500, failure=FAILURE)) == Stale()
        cancelling = Finish(claim.token, Outcome.CANCELLED, 6_000)
        first, second, third = await world.store.apply([success(claim), cancelling, cancelling])
        assert first == Stale()
        job = as_a(Finished, second).job
        assert third == Finished(job, repeated=True)
        assert (job.state, error_type(job)) == (JobState.CANCELLED, "cancelled")
        assert await world.read(job.output.result) is None

    async def test_a_decision_that_comes_first_wins(self, world: World) -> None:
        claim = await held(world)
        await world.do(success(claim))
        assert await world.do(Cancel(claim.job.id, 5_000)) == CancelRefused(JobState.SUCCEEDED)
        assert await world.do(Cancel("unknown", 5_000)) == NoSuchJob()

    async def test_a_released_job_whose_cancel_was_wished_ends_with_the_next_expiry(self, world: World) -> None:
        claim = await held(world)
        await world.do(Cancel(claim.job.id, 5_000))
        assert await world.do(Release((claim.token,))) == Released(1)
        assert await take(world, f"session-of-{claim.job.id}", 1) == []
        due = await world.store.next_deadline_ms()
        assert due is not None
        assert due <= 5_000
        (job,) = as_a(Expired, await world.do(Expire(5_000))).jobs
        assert job.state is JobState.CANCELLED

    async def test_a_session_that_closes_takes_the_wished_cancel_along(self, world: World) -> None:
        claim = await held(world)
        await world.do(Cancel(claim.job.id, 5_000))
        closed = as_a(Closed, await world.do(CloseSession(f"session-of-{claim.job.id}", 6_000, death=DEATH)))
        assert closed.requeued == ()
        assert [(job.id, job.state, job.deaths) for job in closed.ended] == [(claim.job.id, JobState.CANCELLED, 0)]


class SessionExamples:
    """Sessions that end with jobs in hand."""

    async def test_released_claims_stand_where_they_stood(self, world: World) -> None:
        ids = [await submit(world) for _ in range(3)]
        session = await open_session(world)
        first, second = await take(world, session, 2)
        assert await world.do(Release((first.token, "unknown"))) == Released(1)
        job = await job_of(world, ids[0])
        assert (job.state, job.attempt, job.started_at_ms) == (JobState.QUEUED, 0, None)
        assert await world.do(success(first)) == Stale()
        assert [claim.job.id for claim in await take(world, session, 3)] == [ids[0], ids[2]]
        assert await world.do(Release((second.token, second.token))) == Released(1)

    async def test_closing_gives_claims_back_once(self, world: World) -> None:
        claim = await held(world)
        session = f"session-of-{claim.job.id}"
        assert await world.do(CloseSession(session, 5_000)) == Closed((claim.job.id,), ())
        assert await world.do(CloseSession(session, 5_000)) == Closed((), ())
        other = await open_session(world, "other")
        (again,) = await take(world, other, 1)
        assert again.job.deaths == 0

    async def test_a_job_alone_is_charged_until_the_limit(self, world: World) -> None:
        job_id = await submit(world)
        for death in (1, 2, 3):
            session = await open_session(world, f"s{death}")
            (claim,) = await take(world, session, 1)
            assert claim.attempt == death
            closed = as_a(Closed, await world.do(CloseSession(session, 5_000, (claim.token,), DEATH)))
            assert (await job_of(world, job_id)).deaths == death
            assert [job.id for job in closed.ended] == ([job_id] if death == 3 else [])
        job = await job_of(world, job_id)
        assert (job.state, error_type(job)) == (JobState.FAILED, "worker_crashed")
        assert job.failure is not None
        assert job.failure["details"] == DEATH.details
        assert await world.read(job.output.failure) is not None

    async def test_a_shared_death_and_our_own_kill_charge_nobody(self, world: World) -> None:
        ids = [await submit(world) for _ in range(2)]
        session = await open_session(world)
        claims = await take(world, session, 2)
        begun = tuple(claim.token for claim in claims)
        await world.do(CloseSession(session, 5_000, begun, DEATH, deaths_max=1))
        session = await open_session(world, "killed by us")
        await take(world, session, 2)
        await world.do(CloseSession(session, 5_000, begun[:1], None, deaths_max=1))
        assert [(await job_of(world, job_id)).deaths for job_id in ids] == [0, 0]

    async def test_after_a_shared_death_each_suspect_has_a_worker_for_itself(self, world: World) -> None:
        suspects = [await submit(world) for _ in range(2)]
        session = await open_session(world)
        claims = await take(world, session, 2)
        await world.do(CloseSession(session, 5_000, tuple(claim.token for claim in claims), DEATH, deaths_max=1))
        other = await submit(world)
        first, second = await open_session(world, "first"), await open_session(world, "second")
        (one,) = await take(world, first, 3)
        assert (one.job.id, one.job.suspect) == (suspects[0], True)
        assert await take(world, first, 3) == [], "it is not alone any more with another"
        (two,) = await take(world, second, 3)
        assert two.job.id == suspects[1]
        closed = as_a(Closed, await world.do(CloseSession(first, 6_000, (one.token,), DEATH, deaths_max=1)))
        assert [job.id for job in closed.ended] == [suspects[0]], "alone, it is charged"
        (three,) = await take(world, second, 3)
        assert (three.job.id, three.job.suspect) == (other, False)

    async def test_what_a_job_did_to_memory_is_kept(self, world: World) -> None:
        claim = await held(world)
        memory = MemoryUse(3_000_000_000, -4_096, 5_000_000_000)
        done = Finish(claim.token, Outcome.FAILED, 9_000, failure=FAILURE, memory=memory)
        job = as_a(Finished, await world.do(done)).job
        assert job.memory == memory
        assert (await job_of(world, job.id)).memory == memory

    async def test_the_task_that_was_run_is_kept_where_nobody_had_named_one(self, world: World) -> None:
        for named, ran, kept in ((None, "paint", "paint"), ("draw", None, "draw"), (None, None, None)):
            claim = await held(world, task=named)
            done = Finish(claim.token, Outcome.FAILED, 9_000, failure=FAILURE, task=ran)
            job = as_a(Finished, await world.do(done)).job
            assert job.task == (await job_of(world, job.id)).task == kept

    async def test_attempts_that_lost_their_worker_are_counted_others_are_not(self, world: World) -> None:
        ids = [await submit(world) for _ in range(2)]

        async def lose(number: int, death: Failure | None) -> Closed:
            session = await open_session(world, f"s{number}")
            begun = tuple(claim.token for claim in await take(world, session, 2))
            closing = CloseSession(session, 5_000, begun, death, deaths_max=9, attempts_max=2)
            return as_a(Closed, await world.do(closing))

        for number in range(4):
            assert (await lose(number, None)).ended == (), "our own kill excuses the attempt"
        assert (await lose(4, DEATH)).ended == ()
        ended = [job for number in (5, 6) for job in (await lose(number, DEATH)).ended]
        assert [job.id for job in ended] == ids, "after the death that they shared, each alone"
        assert {(error_type(job), job.attempt, job.deaths) for job in ended} == {("attempts_exhausted", 6, 1)}

    async def test_places_in_the_queue(self, world: World) -> None:
        ids = [await submit(world, priority=priority) for priority in (5, 0, 5)]
        of_version = await submit(world, version_id="v1", priority=0)
        assert [await world.store.ahead_of(one, 10) for one in (*ids, of_version)] == [1, 0, 2, 0]
        assert await world.store.ahead_of(ids[2], 1) == 1
        await take(world, await open_session(world), 4)
        assert [await world.store.ahead_of(one, 10) for one in (*ids, "unknown")] == [0, 0, 0, 0]

    async def test_who_holds_a_job_past_its_deadline(self, world: World) -> None:
        claim = await held(world)
        decide_by_ms = claim.job.decide_by_ms
        assert await world.store.overdue(decide_by_ms - 1) == []
        assert await world.store.overdue(decide_by_ms) == [f"session-of-{claim.job.id}"]
        await world.do(success(claim))
        assert await world.store.overdue(decide_by_ms) == []

    async def test_only_who_had_begun_pays(self, world: World) -> None:
        ids = [await submit(world) for _ in range(2)]
        session = await open_session(world)
        claims = await take(world, session, 2)
        closed = await world.do(CloseSession(session, 5_000, (claims[0].token,), DEATH, deaths_max=1))
        assert [job.id for job in as_a(Closed, closed).ended] == ids[:1]
        waiting = await job_of(world, ids[1])
        assert (waiting.state, waiting.attempt, waiting.deaths) == (JobState.QUEUED, 0, 0)

    async def test_a_new_server_closes_what_others_left(self, world: World) -> None:
        ids = [await submit(world) for _ in range(2)]
        old = await open_session(world, "old", server="server-1")
        new = await open_session(world, "new", server="server-2")
        await take(world, old, 1)
        (kept,) = await take(world, new, 1)
        assert await world.do(CloseServerSessions("server-2", 5_000)) == Closed((ids[0],), ())
        assert await world.do(Take(old, tokens(1), 5_000)) == SessionGone()
        assert isinstance(await world.do(success(kept)), Finished)

    async def test_on_a_shared_store_a_new_server_closes_those_of_its_home(self, world: World) -> None:
        homes = {"earlier": "here", "elsewhere": "there", "now": "here"}
        for server, home in homes.items():
            assert await world.do(Beat(server, home)) == Beaten(None)
        ids = [await submit(world) for _ in homes]
        for server in homes:
            await take(world, await open_session(world, f"of-{server}", server=server), 1)
        assert await world.do(CloseServerSessions("now", 5_000, "here")) == Closed((ids[0],), ())
        assert await world.do(CloseServerSessions("now", 5_000, "here")) == Closed((), ())
        assert as_a(Beaten, await world.do(Beat("elsewhere", "there"))).since_last_ms is not None

    async def test_a_server_that_no_longer_beats_loses_its_sessions_and_its_tokens(self, world: World) -> None:
        await world.do(Beat("paused", "there"))
        await world.do(Beat("live", "here"))
        job_id = await submit(world)
        (claim,) = await take(world, await open_session(world, "s", server="paused"), 1)
        assert await world.do(CloseLapsed("live", 60_000, 5_000)) == Closed((), ())
        assert await world.do(CloseLapsed("live", -60_000, 5_000)) == Closed((job_id,), ())
        assert await world.do(success(claim)) == Stale()
        assert await world.do(Take("s", tokens(1), 5_000)) == SessionGone()
        assert await world.do(Beat("paused", "there")) == Beaten(None)
        job = await job_of(world, job_id)
        assert (job.state, job.attempt, job.deaths) == (JobState.QUEUED, 1, 0)

    async def test_a_cancel_after_a_lapsed_lease_does_not_claim_that_the_work_has_stopped(self, world: World) -> None:
        wished, requeued, later = await held(world), await held(world), await submit(world)
        await world.do(Cancel(wished.job.id, 4_000))
        await world.do(Beat("live", "here"))
        closed = as_a(Closed, await world.do(CloseLapsed("live", 60_000, 5_000)))
        assert requeued.job.id in closed.requeued
        await world.do(Cancel(requeued.job.id, 6_000))
        await world.do(Cancel(later, 6_000))
        jobs = [await job_of(world, one) for one in (wished.job.id, requeued.job.id, later)]
        assert [(job.state, job.stop_confirmed) for job in jobs] == [
            (JobState.CANCELLED, False),
            (JobState.CANCELLED, False),
            (JobState.CANCELLED, True),
        ]

    async def test_a_session_of_a_server_that_is_not_known_has_lapsed(self, world: World) -> None:
        await world.do(Beat("live", "here"))
        claim = await held(world)
        assert await world.do(CloseLapsed("live", 60_000, 5_000)) == Closed((claim.job.id,), ())

    async def test_a_lease_is_measured_by_the_stores_clock(self, world: World) -> None:
        await world.do(Beat("one", "here"))
        beaten = as_a(Beaten, await world.do(Beat("one", "here")))
        assert beaten.since_last_ms is not None
        assert 0 <= beaten.since_last_ms < 60_000

    async def test_a_killed_server_costs_an_attempt_and_no_death_and_no_deadline(self, world: World) -> None:
        claim = await held(world, queue_ttl_ms=10_000)
        await world.do(CloseServerSessions("another", 50_000))
        job = await job_of(world, claim.job.id)
        assert (job.attempt, job.deaths) == (1, 0)
        assert await world.do(Expire(50_000)) == Expired(())

    async def test_a_removed_endpoint_leaves_no_job_running(self, world: World) -> None:
        claim = await held(world)
        await world.registry.remove_endpoint(ENDPOINT.id)
        assert (await job_of(world, claim.job.id)).state is JobState.QUEUED
        (job,) = as_a(Expired, await world.do(Expire(200_000))).jobs
        assert job.id == claim.job.id


class DeadlineExamples:
    """Jobs that nobody serves in time."""

    async def test_the_queue_ttl_ends_a_waiting_job(self, world: World) -> None:
        early = await submit(world, queue_ttl_ms=10_000)
        await submit(world, queue_ttl_ms=20_000)
        assert await world.store.next_deadline_ms() == 11_000
        assert await world.do(Expire(10_999)) == Expired(())
        (job,) = as_a(Expired, await world.do(Expire(11_000))).jobs
        assert (job.id, job.state, error_type(job)) == (early, JobState.FAILED, "queue_ttl_expired")
        assert await world.read(job.output.failure) is not None
        assert await world.store.next_deadline_ms() == 21_000

    async def test_nothing_queued_has_no_deadline(self, world: World) -> None:
        assert await world.store.next_deadline_ms() is None
        await held(world)
        assert await world.store.next_deadline_ms() is None
        assert await world.do(Expire(10**9)) == Expired(())

    async def test_a_job_that_has_begun_waits_until_decide_by(self, world: World) -> None:
        claim = await held(world, queue_ttl_ms=10_000)
        await world.do(CloseSession(f"session-of-{claim.job.id}", 50_000, (claim.token,)))
        assert await world.store.next_deadline_ms() == 200_000
        (job,) = as_a(Expired, await world.do(Expire(200_000))).jobs
        assert error_type(job) == "deadline_exceeded"

    async def test_an_expiry_is_bounded_and_takes_the_most_overdue(self, world: World) -> None:
        ids = [await submit(world, queue_ttl_ms=10_000 - n) for n in range(5)]
        expired = as_a(Expired, await world.do(Expire(20_000, limit=2)))
        assert {job.id for job in expired.jobs} == set(ids[3:])
        assert len(as_a(Expired, await world.do(Expire(20_000))).jobs) == 3

    async def test_the_queue_of_an_endpoint_can_be_failed(self, world: World) -> None:
        running = await held(world)
        ids = [await submit(world, version_id=name) for name in (None, "v2", "v1")]
        gone = Failure("endpoint_deleted", "The endpoint was deleted.")
        of_version = as_a(Expired, await world.do(FailQueued(ENDPOINT.id, gone, 9_000, version_id="v2")))
        assert [job.id for job in of_version.jobs] == [ids[1]]
        rest = as_a(Expired, await world.do(FailQueued(ENDPOINT.id, gone, 9_000)))
        assert {(job.id, error_type(job)) for job in rest.jobs} == {
            (one, "endpoint_deleted") for one in (ids[0], ids[2])
        }
        assert (await job_of(world, running.job.id)).state is JobState.RUNNING
        assert await world.do(FailQueued("unknown", gone, 9_000)) == Expired(())

    async def test_the_queue_of_an_endpoint_can_be_purged(self, world: World) -> None:
        running = await held(world)
        mine, other = await submit(world), await submit(world, purpose=JobPurpose.TRIAL, version_id="v1")
        purged = as_a(Expired, await world.do(CancelQueued(ENDPOINT.id, 9_000)))
        assert [(job.id, job.state) for job in purged.jobs] == [(mine, JobState.CANCELLED)]
        assert (await job_of(world, running.job.id)).state is JobState.RUNNING
        assert (await job_of(world, other)).state is JobState.QUEUED
        assert await world.do(CancelQueued(ENDPOINT.id, 9_000)) == Expired(())


class UploadExamples:
    """Jobs whose input is still to come."""

    async def test_it_waits_and_nobody_is_given_it(self, world: World) -> None:
        await world.do(awaiting("u1"))
        job = await job_of(world, "u1")
        assert (job.state, job.input.has_come, job.upload_by_ms) == (JobState.AWAITING_UPLOAD, False, 31_000)
        assert await take(world, await open_session(world), 1) == []
        assert await world.store.next_deadline_ms() == 31_000
        assert await world.store.counts(ENDPOINT.id) == {JobState.AWAITING_UPLOAD: 1}

    async def test_what_has_come_is_queued_from_then_on(self, world: World) -> None:
        earlier = await submit(world, submitted_at_ms=10_000)
        await world.do(awaiting("u1"))
        arrived = as_a(Arrived, await world.do(arrival("u1")))
        assert (arrived.moved, arrived.job.state, arrived.job.upload_by_ms) == (True, JobState.QUEUED, None)
        assert arrived.job.input == JobInput("image/png", ref=ObjectRef(UPLOAD, "etag"))
        assert arrived.job.queue_deadline_ms == 80_000
        again = as_a(Arrived, await world.do(arrival("u1", now_ms=25_000)))
        assert again == Arrived(arrived.job, moved=False)
        claims = await take(world, await open_session(world), 2, now_ms=21_000)
        assert [claim.job.id for claim in claims] == [earlier, "u1"]

    async def test_one_that_does_not_come_expires(self, world: World) -> None:
        await world.do(awaiting("u1"))
        assert await world.do(Expire(30_999)) == Expired(())
        (job,) = as_a(Expired, await world.do(Expire(31_000))).jobs
        assert (job.state, error_type(job), job.upload_by_ms) == (JobState.FAILED, "upload_expired", None)
        assert "within the 30 seconds" in (job.failure or {})["message"]
        assert await world.read(job.output.failure) is not None
        assert as_a(Arrived, await world.do(arrival("u1"))) == Arrived(job, moved=False)

    async def test_what_is_not_what_was_asked_for_ends_it(self, world: World) -> None:
        await world.do(awaiting("u1"))
        job = as_a(Arrived, await world.do(arrival("u1", failure=FAILURE))).job
        assert (job.state, error_type(job)) == (JobState.FAILED, "handler_error")
        assert await world.do(arrival("nobody")) == NoSuchJob()

    async def test_it_is_cancelled_failed_and_purged_like_a_queued_one(self, world: World) -> None:
        for name in ("u1", "u2", "u3"):
            await world.do(awaiting(name))
        assert as_a(CancelAccepted, await world.do(Cancel("u1", 5_000))).job.state is JobState.CANCELLED
        gone = Failure("endpoint_deleted", "The endpoint was deleted.")
        (job,) = as_a(Expired, await world.do(FailQueued(ENDPOINT.id, gone, 9_000, limit=1))).jobs
        assert (job.state, error_type(job)) == (JobState.FAILED, "endpoint_deleted")
        (rest,) = as_a(Expired, await world.do(CancelQueued(ENDPOINT.id, 9_000))).jobs
        assert rest.state is JobState.CANCELLED

    async def test_those_that_wait_have_a_limit_of_their_own(self, world: World) -> None:
        await submit(world)
        await world.do(awaiting("u1", depth=1))
        assert await world.do(awaiting("u2", depth=1)) == QueueFull(1, 1)
        as_a(Submitted, await world.do(submission(depth=2)))


class ListingExamples:
    """Reading many."""

    async def test_pages_are_newest_first(self, world: World) -> None:
        ids = [await submit(world) for _ in range(5)]
        first = await world.store.jobs(JobFilter(limit=2))
        assert [job.id for job in first] == [ids[4], ids[3]]
        rest = await world.store.jobs(JobFilter(before=first[-1].id))
        assert [job.id for job in rest] == [ids[2], ids[1], ids[0]]
        assert await world.store.jobs(JobFilter(before="unknown")) == []

    async def test_filters(self, world: World) -> None:
        claim = await held(world, task="a")
        await world.do(success(claim))
        cancelled = await submit(world, task="b")
        await world.do(Cancel(cancelled, 5_000))
        queued = await submit(world, task="b")
        trial = await submit(world, purpose=JobPurpose.TRIAL)
        every = {claim.job.id, cancelled, queued}

        async def ids(**which: Any) -> set[str]:
            return {job.id for job in await world.store.jobs(JobFilter(**which))}

        assert await ids() == await ids(endpoint_name=ENDPOINT.name) == every
        assert await ids(endpoint_name="other") == set()
        assert await ids(purpose=None) == every | {trial}
        assert await ids(purpose=JobPurpose.TRIAL) == {trial}
        assert await ids(task="b") == {cancelled, queued}
        assert await ids(states=frozenset({JobState.SUCCEEDED})) == {claim.job.id}
        ended = frozenset({JobState.SUCCEEDED, JobState.CANCELLED})
        assert await ids(states=ended) == await ids(states=ended, endpoint_name=ENDPOINT.name) == every - {queued}

    async def test_counts_are_of_clients_jobs(self, world: World) -> None:
        claim = await held(world)
        await submit(world)
        await submit(world, purpose=JobPurpose.TRIAL)
        assert await world.store.counts(ENDPOINT.id) == {JobState.QUEUED: 1, JobState.RUNNING: 1}
        await world.do(success(claim))
        assert await world.store.counts(ENDPOINT.id) == {JobState.QUEUED: 1, JobState.SUCCEEDED: 1}
        assert await world.store.counts("unknown") == {}

    async def test_backlogs_are_of_clients_jobs_that_wait_or_run(self, world: World) -> None:
        assert await world.store.backlogs() == {}
        claim = await held(world, submitted_at_ms=3_000)
        await submit(world, submitted_at_ms=2_000)
        await submit(world, submitted_at_ms=4_000)
        await world.do(submission(submitted_at_ms=1_000, purpose=JobPurpose.TRIAL))
        assert await world.store.backlogs() == {ENDPOINT.id: Backlog(queued=2, running=1, oldest_ms=2_000)}
        await world.do(success(claim))
        assert await world.store.backlogs() == {ENDPOINT.id: Backlog(queued=2, running=0, oldest_ms=2_000)}


class CallExamples:
    """Calls that share a transaction."""

    async def test_outcomes_come_in_the_order_of_the_commands(self, world: World) -> None:
        first, second = submission(), submission()
        opened = OpenSession("s1", ENDPOINT.id, "v1", "processes", "server-1", 1)
        taking = Take("s1", tokens(5), 2_000)
        outcomes = await world.store.apply([opened, first, taking, Cancel(first.job.id, 3_000), second, taking])
        kinds = [Opened, Submitted, Taken, CancelAccepted, Submitted, Taken]
        assert [type(outcome) for outcome in outcomes] == kinds
        assert len(as_a(Taken, outcomes[2]).claims) == 1
        assert await world.store.apply([]) == []

    async def test_a_command_that_cannot_be_fails_its_caller_only(self, world: World) -> None:
        wrong = submission(priority=-1)
        good = [submission() for _ in range(20)]
        calls = [world.store.apply([one]) for one in (*good[:10], wrong, *good[10:])]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(outcomes.pop(10), Exception)
        assert outcomes == [[Submitted(one.job.id)] for one in good]
        assert await world.store.job(wrong.job.id) is None
        assert await world.store.counts(ENDPOINT.id) == {JobState.QUEUED: 20}

    async def test_a_call_is_whole_or_not_at_all(self, world: World) -> None:
        good, wrong = submission(), submission(priority=-1)
        with pytest.raises(Exception, match=r".+"):
            await world.store.apply([good, wrong])
        assert await world.store.job(good.job.id) is None
        assert await world.store.counts(ENDPOINT.id) == {}

    async def test_a_caller_that_goes_away_harms_nobody(self, world: World) -> None:
        commands = [submission() for _ in range(30)]
        calls = [asyncio.ensure_future(world.store.apply([one])) for one in commands]
        await asyncio.sleep(0)
        for call in calls[::3]:
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        for at, command in enumerate(commands):
            if at % 3:
                assert outcomes[at] == [Submitted(command.job.id)]


class JobStoreExamples(
    SubmissionExamples,
    TakeExamples,
    FairnessExamples,
    FinishExamples,
    CancelExamples,
    SessionExamples,
    DeadlineExamples,
    UploadExamples,
    ListingExamples,
    CallExamples,
):
    """All examples; wants a fixture `world` that has been furnished."""
