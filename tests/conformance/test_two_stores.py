"""Two servers' stores on one PostgreSQL: whatever they do at the same time, one of them decides."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import text

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames, copy_name, delete_name
from seatrial.adapters.sql.postgres import PostgresBackend
from seatrial.domain.commands import (
    Beat,
    Cancel,
    CancelAccepted,
    CancelRefused,
    Closed,
    CloseLapsed,
    CloseSession,
    Finished,
    KeyConflict,
    NameTaken,
    OpenSession,
    Outcome,
    QueueFull,
    SessionGone,
    Stale,
    Submitted,
    Take,
    Taken,
)
from seatrial.domain.jobs import JobFilter, JobState, OutputPlan
from seatrial.domain.objects import ObjectName, PutCondition, Sealed
from seatrial.ports.object_store import ConditionFailed, NoSuchObject
from seatrial.ports.registry import AlreadyThere
from seatrial.testing.job_store import (
    BUCKET,
    ENDPOINT,
    FAILURE,
    World,
    as_a,
    idempotency,
    job_of,
    open_session,
    part,
    sealed,
    submission,
    submit,
    success,
    take,
    tokens,
    version,
)

ROUNDS = 12


@dataclass
class Pair:
    """One database, two servers."""

    databases: Sequence[Database]
    worlds: Sequence[World]

    async def both(self, command: object, other: object | None = None) -> list[object]:
        """Each store carries out its command at the same time."""
        return list(await asyncio.gather(self.worlds[0].do(command), self.worlds[1].do(other or command)))


@pytest.fixture
async def pair(postgres_url: str, world_of: Callable[..., World]) -> AsyncIterator[Pair]:
    databases = [await Database.open_on(PostgresBackend(postgres_url)) for _ in range(2)]
    worlds = [world_of(database) for database in databases]
    await worlds[0].furnish()
    yield Pair(databases, worlds)
    for database in databases:
        await database.close()


async def test_one_key_gives_one_job(pair: Pair) -> None:
    for n in range(ROUNDS):
        key = idempotency(f"k{n}")
        first, second = await pair.both(submission(key=key), submission(key=key))
        made, found = sorted((as_a(Submitted, first), as_a(Submitted, second)), key=lambda one: one.existing)
        assert (made.existing, found.existing) == (False, True)
        assert made.job_id == found.job_id
        outcomes = await pair.both(submission(key=idempotency(f"l{n}", "f")), submission(key=idempotency(f"l{n}", "g")))
        assert {type(one) for one in outcomes} == {Submitted, KeyConflict}
    assert await pair.worlds[0].store.counts(ENDPOINT.id) == {JobState.QUEUED: 2 * ROUNDS}


async def test_one_name_is_reserved_by_one_job_also_between_endpoints(pair: Pair) -> None:
    other = replace(ENDPOINT, id="e2", name="other", active_version="w1")
    await pair.worlds[0].registry.create_endpoint(other, replace(version("w1", 1), endpoint_id="e2"))
    for n in range(ROUNDS):
        plan = OutputPlan(ObjectName(BUCKET, f"x{n}"), ObjectName(BUCKET, f"x{n}-error"))
        mine = submission(output=plan)
        outcomes = await pair.both(mine, submission(output=plan, endpoint_id="e2", endpoint_name="other"))
        assert {type(one) for one in outcomes} == {Submitted, NameTaken}
        taken = next(one for one in outcomes if isinstance(one, NameTaken))
        made = next(one for one in outcomes if isinstance(one, Submitted))
        assert (taken.job_id, taken.name) == (made.job_id, plan.result)


async def test_the_depth_of_a_queue_is_never_passed(pair: Pair) -> None:
    outcomes = await asyncio.gather(*(pair.worlds[n % 2].do(submission(depth=10)) for n in range(40)))
    assert Counter(map(type, outcomes)) == {Submitted: 10, QueueFull: 30}
    assert await pair.worlds[1].store.counts(ENDPOINT.id) == {JobState.QUEUED: 10}


async def test_no_job_is_handed_out_twice_and_none_is_left(pair: Pair) -> None:
    ids = [await submit(pair.worlds[n % 2]) for n in range(120)]
    for n in range(8):
        await open_session(pair.worlds[n % 2], f"s{n}", server=f"server-{n % 2}")

    async def work(n: int) -> list[str]:
        taken: list[str] = []
        while claims := await take(pair.worlds[n % 2], f"s{n}", 3):
            taken += [claim.job.id for claim in claims]
        return taken

    taken = [job_id for some in await asyncio.gather(*map(work, range(8))) for job_id in some]
    assert sorted(taken) == sorted(ids)
    assert await pair.worlds[0].store.counts(ENDPOINT.id) == {JobState.RUNNING: 120}


async def test_a_take_beside_others_is_by_priority_and_age(pair: Pair) -> None:
    """What one server has in hand the other passes over; it does not wait for it."""
    ids = [await submit(pair.worlds[0], priority=priority) for priority in (5, 0, 5, 9)]
    for n in range(2):
        await open_session(pair.worlds[n], f"s{n}")
    first, second = await asyncio.gather(*(take(pair.worlds[n], f"s{n}", 2) for n in range(2)))
    taken = sorted(claim.job.id for claim in first + second)
    assert taken == sorted(ids)
    assert len(first) == len(second) == 2


async def test_two_completions_of_one_token_are_one_decision(pair: Pair) -> None:
    for n in range(ROUNDS):
        await submit(pair.worlds[0])
        await open_session(pair.worlds[0], f"s{n}")
        (claim,) = await take(pair.worlds[0], f"s{n}", 1)
        bodies = [b"one", b"two"]
        outcomes = await pair.both(*(success(claim, part(claim.job, body)) for body in bodies))
        finished = [as_a(Finished, outcome) for outcome in outcomes]
        assert sorted(one.repeated for one in finished) == [False, True]
        winner = bodies[[one.repeated for one in finished].index(False)]
        assert await pair.worlds[1].read(claim.job.output.result) == winner
        assert finished[0].job == finished[1].job == await job_of(pair.worlds[1], claim.job.id)


async def test_a_cancel_and_a_decision_exclude_each_other(pair: Pair) -> None:
    for n in range(ROUNDS):
        job_id = await submit(pair.worlds[0])
        await open_session(pair.worlds[0], f"s{n}")
        (claim,) = await take(pair.worlds[0], f"s{n}", 1)
        cancelled, finished = await pair.both(Cancel(job_id, 5_000), success(claim))
        job = await job_of(pair.worlds[0], job_id)
        if isinstance(cancelled, CancelAccepted):
            assert finished == Stale()
            assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
        else:
            assert cancelled == CancelRefused(JobState.SUCCEEDED)
            assert isinstance(finished, Finished)


async def test_a_session_that_closes_leaves_nothing_in_its_hands(pair: Pair) -> None:
    """Whether a take comes before the close or after it: no job is left running for a session that is gone."""
    for n in range(ROUNDS):
        await submit(pair.worlds[0])
        session = await open_session(pair.worlds[0], f"s{n}", server="server-a")
        closing = CloseSession(session, 3_000) if n % 2 else CloseLapsed("server-b", 60_000, 3_000)
        taken, closed = await pair.both(Take(session, tokens(1), 2_000), closing)
        assert isinstance(taken, (Taken, SessionGone))
        assert isinstance(closed, Closed)
        waiting = await pair.worlds[0].store.counts(ENDPOINT.id)
        assert waiting == {JobState.QUEUED: n + 1}


async def test_a_job_of_a_lapsed_server_runs_elsewhere_and_its_old_token_is_stale(pair: Pair) -> None:
    paused, live = pair.worlds
    await paused.do(Beat("paused", "there"))
    await live.do(Beat("live", "here"))
    job_id = await submit(paused)
    await open_session(paused, "old", server="paused")
    (old,) = await take(paused, "old", 1)
    assert await live.do(CloseLapsed("live", -1_000, 3_000)) == Closed((job_id,), ())
    await open_session(live, "new", server="live")
    (new,) = await take(live, "new", 1)
    assert (new.job.id, new.attempt) == (job_id, 2)
    outcomes = await pair.both(success(old, part(old.job, b"late")), success(new, part(new.job, b"right")))
    assert outcomes[0] == Stale()
    assert as_a(Finished, outcomes[1]).job.state is JobState.SUCCEEDED
    assert await paused.read(new.job.output.result) == b"right"


async def test_of_two_that_close_the_same_server_one_does(pair: Pair) -> None:
    await pair.worlds[0].do(Beat("gone", "there"))
    ids = []
    for n in range(3):
        ids.append(await submit(pair.worlds[0]))
        await open_session(pair.worlds[0], f"s{n}", server="gone")
        await take(pair.worlds[0], f"s{n}", 1)
    outcomes = await pair.both(CloseLapsed("a", -1_000, 3_000), CloseLapsed("b", -1_000, 3_000))
    assert sorted(job_id for one in outcomes for job_id in as_a(Closed, one).requeued) == sorted(ids)


async def test_an_endpoint_that_is_removed_leaves_no_job_running(pair: Pair) -> None:
    for n in range(ROUNDS):
        endpoint = replace(ENDPOINT, id=f"r{n}", name=f"r{n}", active_version=f"rv{n}")
        await pair.worlds[0].registry.create_endpoint(endpoint, replace(version(f"rv{n}", 1), endpoint_id=endpoint.id))
        job_id = await submit(pair.worlds[0], endpoint_id=endpoint.id, endpoint_name=endpoint.name)
        opening = OpenSession(f"s{n}", endpoint.id, f"rv{n}", "processes", "server", 1)
        await pair.worlds[0].do(opening)
        await asyncio.gather(
            pair.worlds[0].do(Take(f"s{n}", tokens(1), 2_000)), pair.worlds[1].registry.remove_endpoint(endpoint.id)
        )
        assert (await job_of(pair.worlds[0], job_id)).state is JobState.QUEUED


async def test_counts_stay_true_under_everything_at_once(pair: Pair) -> None:
    chance = random.Random(7)
    for n in range(6):
        await open_session(pair.worlds[n % 2], f"s{n}")

    async def live(n: int) -> None:
        world = pair.worlds[n % 2]
        for _ in range(15):
            job_id = await submit(world)
            if chance.random() < 0.2:
                await pair.worlds[(n + 1) % 2].do(Cancel(job_id, 5_000))
            for claim in await take(world, f"s{n}", 2):
                if chance.random() < 0.3:
                    finish = replace(success(claim), parts=(), failure=FAILURE, outcome=Outcome.FAILED)
                    await world.do(finish)
                else:
                    await world.do(success(claim))

    await asyncio.gather(*map(live, range(6)))
    jobs = await pair.worlds[0].store.jobs(JobFilter(limit=1_000))
    assert dict(Counter(job.state for job in jobs)) == dict(await pair.worlds[0].store.counts(ENDPOINT.id))
    assert len(jobs) == 90


async def test_an_endpoint_name_is_given_once(pair: Pair) -> None:
    for n in range(4):
        endpoint = replace(ENDPOINT, name=f"n{n}")
        outcomes = await asyncio.gather(
            *(
                world.registry.create_endpoint(
                    replace(endpoint, id=f"{n}-{at}"), replace(version(f"{n}-{at}", 1), endpoint_id=f"{n}-{at}")
                )
                for at, world in enumerate(pair.worlds)
            ),
            return_exceptions=True,
        )
        assert sorted(type(one) for one in outcomes if one is not None) == [AlreadyThere]


async def test_one_of_two_conditional_puts_wins(pair: Pair) -> None:
    stores = [SqlObjectNames(database) for database in pair.databases]
    for n in range(ROUNDS):
        name = ObjectName(BUCKET, f"c{n}")
        outcomes = await asyncio.gather(
            *(
                store.reveal(name, sealed(bytes([at])), "x/y", {}, PutCondition(if_none_match=True), 1)
                for at, store in enumerate(stores)
            ),
            return_exceptions=True,
        )
        assert [isinstance(one, ConditionFailed) for one in outcomes].count(True) == 1
        winner = outcomes.index(next(one for one in outcomes if not isinstance(one, Exception)))
        assert (await stores[0].head(name)).sealed.inline == bytes([winner])


async def test_a_blob_that_is_being_copied_is_not_freed(pair: Pair) -> None:
    for n in range(ROUNDS):
        source, target = ObjectName(BUCKET, f"s{n}"), ObjectName(BUCKET, f"t{n}")
        blob = Sealed(1, "0" * 64, "e", blob=f"blob{n}")
        info = await SqlObjectNames(pair.databases[0]).reveal(source, blob, "x/y", {}, None, 1)
        copied, _ = await asyncio.gather(
            pair.databases[0].write(lambda c, i=info, t=target: copy_name(c, i.ref, t, "x/y", {}, None, 1)),
            pair.databases[1].write(lambda c, s=source: delete_name(c, s)),
            return_exceptions=True,
        )
        freed = await SqlObjectNames(pair.databases[0]).freed_blobs(100)
        assert (f"blob{n}" in freed) == isinstance(copied, NoSuchObject)


async def test_the_database_ends_in_a_state_that_its_constraints_allow(pair: Pair) -> None:
    """The names that are reserved are those of jobs that have not ended."""
    ids = [await submit(world) for world in pair.worlds]
    await pair.both(Cancel(ids[0], 5_000), Cancel(ids[0], 5_000))
    left = text("SELECT DISTINCT job_id FROM reserved_names")
    assert await pair.databases[0].read(lambda c: list(c.execute(left).scalars())) == [ids[1]]
