"""Who waits for a job hears of its changes at once, with the job itself, without asking the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import RECENT_JOBS_MAX

Listener = Callable[[Job], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """A job in its terminal state, with the bytes of those parts that are small enough to be at hand."""

    job: Job
    small_parts: Mapping[str, bytes] = field(default_factory=dict)


class Watch:
    """Hands changed jobs to those who wait for them.

    It remembers the jobs that ended here last (terminal states never change), and which of those accepted here
    have not ended (so that who waits for one need not ask the store). Both are only short cuts: what it does not
    know is asked of the store.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._recent: OrderedDict[str, Ended] = OrderedDict()
        self._pending: set[str] = set()
        self._decided: Listener = lambda _: None
        self._announced: Callable[[], None] = lambda: None
        self._count: Listener = lambda _: None

    def on_decided(self, publish: Listener) -> None:
        """Call this with every job that is decided here and not visible yet."""
        self._decided = publish

    def on_announced(self, deliver: Callable[[], None]) -> None:
        """Call this when a job has ended here whose end is to be told."""
        self._announced = deliver

    def on_ended(self, count: Listener) -> None:
        """Call this with every job that has ended here, once."""
        self._count = count

    def accepted(self, job_id: str) -> None:
        """This server accepted the job; it is durable and has not ended."""
        if job_id not in self._recent:  # a short job may have ended before its submitter is told
            self._pending.add(job_id)

    def changed(self, jobs: Iterable[Job]) -> None:
        """These jobs are now so; the change is durable."""
        for job in jobs:
            if job.ended:
                self.ended(Ended(job))
            else:
                self._tell(job)
                if job.state is JobState.PUBLISHING:
                    self._decided(job)

    def forget(self, job_ids: Iterable[str]) -> None:
        """These ended jobs were marked: whoever asks for one is to get it from the store."""
        for job_id in job_ids:
            self._recent.pop(job_id, None)

    def ended(self, ended: Ended) -> None:
        """This job has ended; that is durable."""
        job = ended.job
        self._pending.discard(job.id)
        if job.id not in self._recent:
            self._count(job)
        self._recent[job.id] = ended
        if len(self._recent) > RECENT_JOBS_MAX:
            self._recent.popitem(last=False)
        self._tell(job)
        if job.notify:
            self._announced()

    def recent(self, job_id: str) -> Ended | None:
        """The job, if it is among the last that ended here."""
        return self._recent.get(job_id)

    def is_pending(self, job_id: str) -> bool:
        """True for a job that was accepted here and has not ended; every change of it is heard here."""
        return job_id in self._pending

    def listen(self, job_id: str, listener: Listener) -> Callable[[], None]:
        """Call the listener at every change; the answer stops that."""
        self._listeners.setdefault(job_id, set()).add(listener)

        def stop() -> None:
            listeners = self._listeners.get(job_id)
            if listeners is not None:
                listeners.discard(listener)
                if not listeners:
                    del self._listeners[job_id]

        return stop

    def _tell(self, job: Job) -> None:
        for listener in tuple(self._listeners.get(job.id, ())):
            listener(job)
