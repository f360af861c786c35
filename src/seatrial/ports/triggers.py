"""Where triggers and what they were set off by are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from seatrial.domain.objects import ObjectInfo
from seatrial.domain.triggers import EventState, ObjectEvent, Origin, Trigger


class TriggerStore(Protocol):
    """Where names of objects are rows, events are noted in the very transaction that changes a name.

    Each change of an object sets a trigger off once, however often it is noted. Every method may raise
    `ports.storage.StoreUnavailable`.
    """

    async def triggers(self, bucket: str | None = None, origin: Origin | None = None) -> list[Trigger]:
        """Those that stand, in a bucket or in all, by name; without those of uploads, unless asked for."""
        ...

    async def trigger(self, trigger_id: str) -> Trigger | None:
        """The trigger of that id."""
        ...

    async def replace(self, bucket: str, origin: Origin, triggers: Sequence[Trigger]) -> None:
        """These are from now on all of that origin in the bucket; one that was there stays as it is, by its id."""
        ...

    async def add(self, trigger: Trigger) -> bool:
        """Keep a trigger; False: there is one of its id."""
        ...

    async def put(self, trigger: Trigger) -> None:
        """Keep a trigger, in place of one of its id, whose events and age stay."""
        ...

    async def remove(self, trigger_id: str) -> bool:
        """Drop a trigger; False: there was none."""
        ...

    async def waiting(self, now_ms: int, limit: int) -> list[ObjectEvent]:
        """Events that are due, oldest first."""
        ...

    async def settle(self, event_id: str, state: EventState, outcome: str, now_ms: int) -> None:
        """The event is over."""
        ...

    async def postpone(self, event_id: str, why: str, next_at_ms: int) -> None:
        """Try again then."""
        ...

    async def events(self, trigger_id: str, limit: int) -> list[ObjectEvent]:
        """What set a trigger off, newest first."""
        ...

    async def note(self, found: Sequence[ObjectInfo]) -> int:
        """Objects that were found in an object store whose names are not rows; how many events came of them."""
        ...

    async def forget(self, before_ms: int, limit: int) -> int:
        """Remove up to `limit` events that were over by then; how many."""
        ...
