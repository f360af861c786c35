"""What every outbox must do, by example.

Use: subclass `OutboxExamples` in a pytest module with fixtures `world` (furnished) and `outbox` of the same store.
"""

from __future__ import annotations

from seatrial.domain.commands import Cancel, Finish, Finished, Outcome
from seatrial.domain.delivery import Attempt, Delivery, DeliveryFilter, DeliveryState, Target, TargetKind
from seatrial.ports.outbox import Outbox
from seatrial.testing.job_store import FAILURE, World, as_a, held, submit, success

SLOW, QUICK = "https://slow.example/a?b=c", "https://quick.example:8443/hook"
HELD_UNTIL_MS = 70_000


def told(*urls: str, events: frozenset[str] = frozenset()) -> tuple[Target, ...]:
    """Webhooks."""
    return tuple(Target(TargetKind.WEBHOOK, url, events) for url in urls)


async def ended(world: World, *urls: str) -> str:
    """A job that has succeeded at 3,000 ms and is to be told of; its id."""
    claim = await held(world, notify=told(*urls))
    as_a(Finished, await world.do(success(claim)))
    return claim.job.id


async def one_taken(outbox: Outbox, now_ms: int = 10_000, busy: frozenset[str] = frozenset()) -> Delivery:
    """The only delivery that is due."""
    (delivery,) = await outbox.take(now_ms, HELD_UNTIL_MS, 10, busy)
    return delivery


def attempt(status: int | None = None, **more: str) -> Attempt:
    """A try at 10,000 ms that took 5 ms."""
    return Attempt(0, 10_000, 5, status, **more)


class OutboxExamples:
    """Examples, as a pytest class."""

    async def test_the_end_of_a_job_puts_one_delivery_for_each_target(self, world: World, outbox: Outbox) -> None:
        assert await outbox.next_due_ms() is None
        job_id = await ended(world, SLOW, QUICK)
        assert await outbox.next_due_ms() == 3_000
        taken = await outbox.take(10_000, HELD_UNTIL_MS, 10)
        assert [(one.target.address, one.target.receiver) for one in taken] == [
            (SLOW, "https://slow.example"),
            (QUICK, "https://quick.example:8443"),
        ]
        assert len({one.id for one in taken}) == 2
        assert {(one.job_id, one.event, one.state, one.tries) for one in taken} == {
            (job_id, "succeeded", DeliveryState.PENDING, 0)
        }
        assert all(job_id in one.body and "job.succeeded" in one.body for one in taken)

    async def test_every_way_to_end_is_told_once(self, world: World, outbox: Outbox) -> None:
        failing = await held(world, notify=told(SLOW))
        finish = Finish(failing.token, Outcome.FAILED, 3_000, failure=FAILURE)
        for _ in range(2):
            await world.do(finish)
        cancelled = await submit(world, notify=told(SLOW))
        for _ in range(2):
            await world.do(Cancel(cancelled, 4_000))
        found = await outbox.deliveries(DeliveryFilter())
        assert [(one.job_id, one.event) for one in found] == [(cancelled, "cancelled"), (failing.job.id, "failed")]

    async def test_a_target_hears_only_what_it_wants(self, world: World, outbox: Outbox) -> None:
        claim = await held(world, notify=told(SLOW, events=frozenset({"failed"})))
        await world.do(success(claim))
        assert await outbox.next_due_ms() is None

    async def test_a_trials_receiver_is_told_by_its_own_server_only(self, world: World, outbox: Outbox) -> None:
        target = Target(TargetKind.TRIAL, "http://127.0.0.1:4000/word/1")
        claim = await held(world, notify=(target, *told(QUICK)))
        await world.do(success(claim))
        assert [one.target.address for one in await outbox.take(10_000, HELD_UNTIL_MS, 10)] == [QUICK]
        own = frozenset({"trial:127.0.0.1:4000"})
        assert [one.target for one in await outbox.take(10_000, HELD_UNTIL_MS, 10, own=own)] == [target]
        await outbox.drop("trial:127.0.0.1:4000")
        await outbox.drop(QUICK.removesuffix("/hook"))  # a stranger's are never dropped
        assert [one.target.address for one in await outbox.deliveries(DeliveryFilter())] == [QUICK]

    async def test_what_a_trial_left_behind_is_forgotten(self, world: World, outbox: Outbox) -> None:
        claim = await held(world, notify=(Target(TargetKind.TRIAL, "http://127.0.0.1:4000/word/1"), *told(QUICK)))
        await world.do(success(claim))
        assert await outbox.forget(3_000, 3_000, 10) == 0
        assert await outbox.forget(3_001, 3_001, 10) == 1
        assert [one.target.address for one in await outbox.deliveries(DeliveryFilter())] == [QUICK]

    async def test_what_was_taken_is_held_for_a_while(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW)
        delivery = await one_taken(outbox)
        assert await outbox.take(HELD_UNTIL_MS - 1, 2 * HELD_UNTIL_MS, 10) == []
        assert (await one_taken(outbox, HELD_UNTIL_MS)).id == delivery.id  # whoever took it died

    async def test_busy_receivers_are_passed_over(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW, QUICK)
        assert (await one_taken(outbox, busy=frozenset({"https://slow.example"}))).target.address == QUICK

    async def test_a_failed_try_is_kept_and_made_again_later(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW)
        delivery = await one_taken(outbox)
        await outbox.record(delivery.id, attempt(error="away"), DeliveryState.PENDING, 1, 15_000)
        assert await outbox.take(14_999, HELD_UNTIL_MS, 10) == []
        again = await one_taken(outbox, 15_000)
        assert (again.id, again.body, again.tries) == (delivery.id, delivery.body, 1)
        await outbox.record(delivery.id, attempt(204, answer="thanks"), DeliveryState.DELIVERED, 2, None)
        whole = await outbox.delivery(delivery.id)
        assert whole is not None
        assert (whole.state, whole.tries, whole.ended_at_ms) == (DeliveryState.DELIVERED, 2, 10_005)
        assert [(one.number, one.status, one.answer, one.error) for one in whole.attempts] == [
            (1, None, "", "away"),
            (2, 204, "thanks", None),
        ]
        assert await outbox.next_due_ms() is None

    async def test_a_late_record_changes_no_end(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW)
        delivery = await one_taken(outbox)
        await outbox.record(delivery.id, attempt(200), DeliveryState.DELIVERED, 1, None)
        await outbox.record(delivery.id, attempt(500), DeliveryState.PENDING, 1, 15_000)
        whole = await outbox.delivery(delivery.id)
        assert whole is not None
        assert (whole.state, len(whole.attempts)) == (DeliveryState.DELIVERED, 2)

    async def test_a_replay_is_due_at_once_under_the_same_id(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW)
        delivery = await one_taken(outbox)
        await outbox.record(delivery.id, attempt(500), DeliveryState.FAILED, 12, None)
        again = await outbox.replay(delivery.id, 20_000)
        assert again is not None
        assert (again.id, again.state, again.tries, len(again.attempts)) == (delivery.id, DeliveryState.PENDING, 0, 1)
        assert (await one_taken(outbox, 20_000)).id == delivery.id
        assert await outbox.replay("unknown", 20_000) is None
        assert await outbox.delivery("unknown") is None

    async def test_pages_and_filters(self, world: World, outbox: Outbox) -> None:
        jobs = [await ended(world, SLOW) for _ in range(3)]
        first = await outbox.deliveries(DeliveryFilter(limit=2))
        assert [one.job_id for one in first] == jobs[:0:-1]
        rest = await outbox.deliveries(DeliveryFilter(before=first[-1].id))
        assert [one.job_id for one in rest] == jobs[:1]
        await outbox.record(rest[0].id, attempt(200), DeliveryState.DELIVERED, 1, None)
        delivered = await outbox.deliveries(DeliveryFilter(state=DeliveryState.DELIVERED))
        assert [one.id for one in delivered] == [rest[0].id]
        assert [one.job_id for one in await outbox.deliveries(DeliveryFilter(job_id=jobs[1]))] == [jobs[1]]
        assert await outbox.deliveries(DeliveryFilter(endpoint_name="other")) == []
        assert await outbox.deliveries(DeliveryFilter(before="unknown")) == []

    async def test_what_ended_long_ago_is_forgotten_with_its_tries(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW)
        delivery = await one_taken(outbox)
        await outbox.record(delivery.id, attempt(200), DeliveryState.DELIVERED, 1, None)
        assert await outbox.forget(10_005, 10_005, 10) == 0
        assert await outbox.forget(10_006, 0, 10) == 1
        assert await outbox.delivery(delivery.id) is None
        await outbox.record(delivery.id, attempt(200), DeliveryState.DELIVERED, 1, None)  # too late to matter

    async def test_acceptance_and_start_are_told_where_they_are_wanted(self, world: World, outbox: Outbox) -> None:
        wanting = told(SLOW, events=frozenset({"queued", "started"}))
        claim = await held(world, notify=(*wanting, *told(QUICK)))
        found = await outbox.deliveries(DeliveryFilter())
        assert [(one.job_id, one.event, one.target.address) for one in found] == [
            (claim.job.id, "started", SLOW),
            (claim.job.id, "queued", SLOW),
        ]
        assert all(claim.job.id in one.body for one in found)

    async def test_what_was_given_up_is_kept_longer(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW)
        delivery = await one_taken(outbox)
        await outbox.record(delivery.id, attempt(500), DeliveryState.FAILED, 12, None)
        assert await outbox.forget(20_000, 10_005, 10) == 0
        assert await outbox.forget(20_000, 10_006, 10) == 1

    async def test_one_receiver_can_be_asked_for(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW, QUICK)
        (only,) = await outbox.take(10_000, HELD_UNTIL_MS, 10, only="https://quick.example:8443")
        assert only.target.address == QUICK

    async def test_what_waits_for_a_receiver_that_is_away_is_given_up(self, world: World, outbox: Outbox) -> None:
        await ended(world, SLOW, QUICK)
        assert await outbox.give_up("https://slow.example", 3_000, 20_000) == 0
        assert await outbox.give_up("https://slow.example", 3_001, 20_000) == 1
        (dead,) = await outbox.deliveries(DeliveryFilter(state=DeliveryState.FAILED))
        assert (dead.target.address, dead.ended_at_ms) == (SLOW, 20_000)
        assert await outbox.replay(dead.id, 30_000) is not None
