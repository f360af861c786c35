"""Where jobs live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from seatrial.domain.commands import IdempotencyKey, JobCommand, JobOutcome, KeyConflict, Publication, Submitted
from seatrial.domain.jobs import Backlog, Job, JobFilter, JobState
from seatrial.ports.storage import StoreUnavailable

__all__ = ["JobStore", "StoreUnavailable"]


class JobStore(Protocol):
    """The one authority on jobs, sessions and claims."""

    async def apply(self, commands: Sequence[JobCommand]) -> list[JobOutcome]:
        """Run the commands in one durable transaction: one outcome per command, in order.

        A conflict, a stale token or a full queue is that command's outcome and never fails its neighbours.
        Concurrent calls share a transaction (group commit). When this returns, the outcomes are on disk.

        Raises:
            StoreUnavailable: nothing is known to be committed; each command may be repeated.
        """
        ...

    async def job(self, job_id: str) -> Job | None:
        """The job as it is now."""
        ...

    async def made_before(self, key: IdempotencyKey, now_ms: int) -> Submitted | KeyConflict | None:
        """What a submission under this key would be answered with; None: the key is free."""
        ...

    async def jobs(self, which: JobFilter) -> list[Job]:
        """A page of jobs, newest first."""
        ...

    async def counts(self, endpoint_id: str) -> Mapping[JobState, int]:
        """How many client jobs of an endpoint are in each state; states without jobs are absent."""
        ...

    async def publications(self, until_ms: int, limit: int) -> Sequence[Publication]:
        """Decisions made until then whose outcome is not visible yet, oldest first. Empty where names are rows."""
        ...

    async def publication(self, job_id: str) -> Publication | None:
        """What a decided job is to show; None: it has ended, or is not decided."""
        ...

    async def withdrawals(self, limit: int) -> Sequence[Publication]:
        """Results that were given up while their object store was away: parts of them may show until withdrawn.

        `parts` is empty where another job has been given the same names since.
        """
        ...

    async def still_needed(self, words: Sequence[str]) -> set[str]:
        """Those tokens and job ids whose job runs or publishes: what they staged may still be wanted."""
        ...

    async def backlogs(self) -> Mapping[str, Backlog]:
        """What waits and runs of each endpoint's client jobs, by endpoint id; those with nothing are absent."""
        ...

    async def next_deadline_ms(self) -> int | None:
        """When the next queued job expires, in milliseconds since the epoch; None: nothing is queued."""
        ...

    async def ahead_of(self, job_id: str, most: int) -> int:
        """How many jobs of the same queue would be taken before this one, counted up to `most`."""
        ...

    async def overdue(self, until_ms: int) -> list[str]:
        """Sessions that hold a job whose decide_by was at or before that time."""
        ...

    async def ended_until(self, until_ms: int, limit: int) -> list[str]:
        """Ids of jobs that ended at or before that time and have nothing left to be told, the first ones first."""
        ...

    async def inputs_named(self, bucket: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are the input of a job that is kept."""
        ...

    async def check(self) -> None:
        """Make a durable write that changes nothing. Raises StoreUnavailable: nothing could be accepted now."""
        ...
