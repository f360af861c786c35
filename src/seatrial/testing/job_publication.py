"""What a job store must do where objects are not its rows: a decision first, the terminal state once all is visible.

Use: subclass `PublicationExamples` in a pytest module with a fixture `world`, furnished, whose store gives a decided
job PUBLISH_WITHIN_MS to become visible.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from seatrial.domain.commands import (
    Cancel,
    CancelAccepted,
    CancelRefused,
    Closed,
    CloseSession,
    Expire,
    Expired,
    Finish,
    Finished,
    GivenUp,
    GiveUp,
    NameTaken,
    Outcome,
    Publication,
    Published,
    Stale,
    Submit,
    Submitted,
)
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.objects import ObjectName
from seatrial.testing.job_store import (
    BUCKET,
    DEATH,
    ENDPOINT,
    FAILURE,
    World,
    as_a,
    error_type,
    held,
    job_of,
    new_job,
    part,
    submission,
    submit,
    success,
)

PUBLISH_WITHIN_MS = 60_000
GONE = Failure("publish_failed", "The bucket is gone.")


async def waiting(world: World) -> list[Publication]:
    """All publications."""
    return list(await world.store.publications(10**15, 100))


async def decided(world: World) -> Job:
    """A job with a committed success, not visible yet."""
    claim = await held(world)
    return as_a(Finished, await world.do(success(claim))).job


class PublicationExamples:
    """Decisions, and what becomes of them."""

    async def test_a_finish_commits_the_decision_and_shows_nothing(self, world: World) -> None:
        claim = await held(world)
        side = part(claim.job, b"\x00mask", "mask", object=ObjectName(BUCKET, "m.png"), media_type="image/png")
        parts = (side, part(claim.job))
        job = as_a(Finished, await world.do(success(claim, *parts, started_at_ms=2_500))).job
        assert (job.state, job.ended_at_ms, job.publish_by_ms) == (JobState.PUBLISHING, None, 3_000 + PUBLISH_WITHIN_MS)
        assert (job.parts, job.started_at_ms) == ((), 2_500)
        assert job == await job_of(world, job.id)
        assert await waiting(world) == [Publication(job, Outcome.SUCCEEDED, parts)]
        assert await world.store.publication(job.id) == Publication(job, Outcome.SUCCEEDED, parts)
        assert await world.read(side.object) is None
        assert await world.store.counts(ENDPOINT.id) == {JobState.PUBLISHING: 1}

    async def test_once_all_is_visible_the_job_has_ended(self, world: World) -> None:
        job = await decided(world)
        done = Published(job.id, Outcome.SUCCEEDED, 4_000)
        ended = as_a(Finished, await world.do(done)).job
        assert (ended.state, ended.ended_at_ms, ended.publish_by_ms) == (JobState.SUCCEEDED, 4_000, None)
        assert [one.object for one in ended.parts] == [job.output.result]
        assert ended == await job_of(world, job.id)
        assert await waiting(world) == []
        assert await world.store.publication(job.id) is None
        assert await world.do(done) == Finished(ended, repeated=True)
        assert await world.store.counts(ENDPOINT.id) == {JobState.SUCCEEDED: 1}

    async def test_the_same_completion_again_is_told_of_the_first(self, world: World) -> None:
        claim = await held(world)
        first = as_a(Finished, await world.do(success(claim, part(claim.job, b"first"))))
        for body in (b"second", b"third"):
            again = await world.do(success(claim, part(claim.job, body)))
            assert again == Finished(first.job, repeated=True)
        (publication,) = await waiting(world)
        assert publication.parts == (part(claim.job, b"first"),)

    async def test_after_the_decision_nothing_else_can_be_decided(self, world: World) -> None:
        claim = await held(world)
        await world.do(success(claim))
        assert await world.do(Cancel(claim.job.id, 5_000)) == CancelRefused(JobState.PUBLISHING)
        assert await world.do(CloseSession(f"session-of-{claim.job.id}", 5_000, (claim.token,), DEATH, 1)) == Closed(
            (), ()
        )
        assert await world.do(Expire(10**12)) == Expired(())
        assert as_a(Finished, await world.do(Finish(claim.token, Outcome.FAILED, 5_000, failure=FAILURE))).repeated

    async def test_a_name_stays_reserved_until_the_end(self, world: World) -> None:
        job = await decided(world)
        assert await world.do(submission(output=job.output)) == NameTaken(job.output.result, job.id)
        await world.do(Published(job.id, Outcome.SUCCEEDED, 4_000))
        assert isinstance(await world.do(submission(output=job.output)), Submitted)

    async def test_failures_cancels_expiries_and_deaths_wait_for_their_object(self, world: World) -> None:
        failing = await held(world)
        await world.do(Finish(failing.token, Outcome.FAILED, 3_000, failure=FAILURE))
        dying = await held(world)
        closing = CloseSession(f"session-of-{dying.job.id}", 3_000, (dying.token,), DEATH, deaths_max=1)
        assert [job.state for job in as_a(Closed, await world.do(closing)).ended] == [JobState.PUBLISHING]
        queued = await submit(world)
        cancel = Cancel(queued, 5_000)
        accepted = as_a(CancelAccepted, await world.do(cancel))
        assert accepted.job.state is JobState.PUBLISHING
        assert await world.do(cancel) == accepted
        assert await world.do(Cancel(queued, 6_000)) == CancelRefused(JobState.PUBLISHING)
        late = await submit(world, queue_ttl_ms=1)
        await world.do(Expire(5_000))
        found = {one.job.id: one for one in await waiting(world)}
        assert [found[one].outcome for one in (failing.job.id, dying.job.id, queued, late)] == [
            Outcome.FAILED,
            Outcome.FAILED,
            Outcome.CANCELLED,
            Outcome.FAILED,
        ]
        words = []
        for job_id, one in found.items():
            job = as_a(Finished, await world.do(Published(job_id, one.outcome, 7_000))).job
            assert job.failure == one.failure
            words.append((job.state.value, error_type(job)))
        assert sorted(words) == [
            ("cancelled", "cancelled"),
            ("failed", "handler_error"),
            ("failed", "queue_ttl_expired"),
            ("failed", "worker_crashed"),
        ]
        assert (await job_of(world, dying.job.id)).deaths == 1

    async def test_what_cannot_be_published_is_given_up_once(self, world: World) -> None:
        job = await decided(world)
        before = await world.store.publication(job.id)
        assert before is not None
        given_up = as_a(GivenUp, await world.do(GiveUp(job.id, GONE, 70_000)))
        assert given_up.publication.outcome is Outcome.FAILED
        assert given_up.publication.parts == before.parts, "somebody has to withdraw what may show of them"
        assert await world.do(GiveUp(job.id, FAILURE, 80_000)) == given_up
        assert await world.do(Published(job.id, Outcome.SUCCEEDED, 80_000)) == Stale()  # by one who was slow
        done = Published(job.id, Outcome.FAILED, 90_000, not_published="the bucket is gone")
        ended = as_a(Finished, await world.do(done)).job
        assert (ended.state, error_type(ended), ended.parts) == (JobState.FAILED, "publish_failed", ())
        assert ended.failure is not None
        assert "the bucket is gone" in ended.failure["details"]["not_published"]
        assert await world.do(GiveUp(job.id, GONE, 95_000)) == Stale()
        assert await world.do(Published("unknown", Outcome.FAILED, 1)) == Stale()

    async def test_what_runs_or_publishes_still_needs_what_it_staged(self, world: World) -> None:
        running, ending = await held(world), await held(world)
        await world.do(success(ending))
        words = [running.token, running.job.id, ending.token, ending.job.id, "unknown"]
        assert await world.store.still_needed(words) >= set(words[:4])
        assert "unknown" not in await world.store.still_needed(words)
        await world.do(Published(ending.job.id, Outcome.SUCCEEDED, 4_000))
        await world.do(CloseSession(f"session-of-{running.job.id}", 5_000, (running.token,)))
        assert not {running.token, ending.token, ending.job.id} & await world.store.still_needed(words)


class SupersedingExamples:
    """A name that a client chose again. These hold wherever objects live."""

    @pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
    async def test_the_later_outcome_under_a_chosen_name_supersedes_the_earlier(
        self, world: World, outcome: Outcome
    ) -> None:
        output = replace(new_job().output, result=ObjectName(BUCKET, "plan.json"))
        ids: list[str] = []
        for _ in range(2):
            claim = await held(world, output=output, name_chosen=True)
            failure = FAILURE if outcome is Outcome.FAILED else None
            parts = () if failure else (part(claim.job),)
            finished = as_a(Finished, await world.do(Finish(claim.token, outcome, 3_000, parts, failure)))
            if not finished.job.ended:
                finished = as_a(Finished, await world.do(Published(claim.job.id, outcome, 4_000)))
            assert finished.superseded == tuple(ids)
            ids.append(claim.job.id)
        assert (await job_of(world, ids[0])).superseded_by == ids[1]
        assert (await job_of(world, ids[1])).superseded_by is None

    async def test_another_kind_of_outcome_supersedes_nothing(self, world: World) -> None:
        output = new_job().output
        first = await held(world, output=output, name_chosen=True)
        await world.do(success(first))
        await world.do(Published(first.job.id, Outcome.SUCCEEDED, 4_000))
        job_id = as_a(Submitted, await world.do(Submit(new_job(output=output, name_chosen=True), 10))).job_id
        await world.do(Cancel(job_id, 5_000))
        await world.do(Published(job_id, Outcome.CANCELLED, 6_000))
        assert (await job_of(world, first.job.id)).superseded_by is None
