"""Who waits for a job hears of its changes at once, with the job itself, without asking the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from seatrial.domain.jobs import Job
from seatrial.domain.limits import RECENT_JOBS_MAX

Listener = Callable[[Job], None]


class Watch:
    """Hands changed jobs to those who wait for them, and remembers the jobs that ended last."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._recent: OrderedDict[str, Job] = OrderedDict()

    def changed(self, jobs: Iterable[Job]) -> None:
        """These jobs are now so; the change is durable."""
        for job in jobs:
            if job.ended:
                self._remember(job)
            for listener in tuple(self._listeners.get(job.id, ())):
                listener(job)

    def recent(self, job_id: str) -> Job | None:
        """The job, if it is among the last that ended here: terminal states never change."""
        return self._recent.get(job_id)

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

    def _remember(self, job: Job) -> None:
        self._recent[job.id] = job
        if len(self._recent) > RECENT_JOBS_MAX:
            self._recent.popitem(last=False)
