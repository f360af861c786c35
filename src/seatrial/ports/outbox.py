"""Notifications on their way: written with the jobs that they tell of, told at least once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from seatrial.domain.delivery import Attempt, Delivery, DeliveryFilter, DeliveryState


class Outbox(Protocol):
    """Deliveries appear in the transaction that ends a job; here they are taken, told of, listed and replayed.

    Every method may raise `ports.storage.StoreUnavailable`, and may be asked again.
    """

    async def post(self, deliveries: Sequence[Delivery]) -> None:
        """Put these in, in a transaction of their own."""
        ...

    async def take(
        self,
        now_ms: int,
        until_ms: int,
        limit: int,
        busy: frozenset[str] = frozenset(),
        own: frozenset[str] = frozenset(),
        only: str | None = None,
    ) -> list[Delivery]:
        """Pending deliveries that are due, those of busy receivers left out, oldest first; or those of `only`.

        Of the receivers of trials only those in `own`: another server's cannot be reached from here.

        Nobody else is given them before `until_ms`: should this server die, another one tries them then.
        """
        ...

    async def record(
        self, delivery_id: str, attempt: Attempt, state: DeliveryState, tries: int, next_at_ms: int | None
    ) -> None:
        """Keep what an attempt brought. A delivery that is pending no more is left as it is, with its attempt added."""
        ...

    async def next_due_ms(self) -> int | None:
        """When the next pending delivery is due; None: nothing is pending."""
        ...

    async def deliveries(self, which: DeliveryFilter) -> Sequence[Delivery]:
        """A page, newest first, without their attempts."""
        ...

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """One, with its attempts."""
        ...

    async def replay(self, delivery_id: str, now_ms: int) -> Delivery | None:
        """Make it pending again, due now, under the same id; None: there is none of that id."""
        ...

    async def give_up(self, receiver: str, created_before_ms: int, now_ms: int) -> int:
        """End what has waited that long for a receiver, as failed; how many."""
        ...

    async def forget(self, delivered_before_ms: int, failed_before_ms: int, limit: int) -> int:
        """Remove some that ended before that, with their attempts, or are of a trial as old as that; how many."""
        ...

    async def drop(self, receiver: str) -> None:
        """Remove all of a trial's receiver, which is no more."""
        ...
