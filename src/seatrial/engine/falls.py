"""Why workers fell, and how many reasons there are lately: what tells a poison job from a broken version."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.domain.failures import Failure
from seatrial.domain.limits import RESTART_WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class Fall:
    """A worker that fell by itself. `suspect` is the job that was alone in it, if one was."""

    failure: Failure
    suspect: str | None = None


class Falls:
    """The falls of the last RESTART_WINDOW_SECONDS.

    However often one job kills its worker, that is one reason: the job is charged with its deaths and fails in
    the end. An answer of the handler shows that the version works, so jobs before it are not held against it.
    """

    def __init__(self) -> None:
        self._of_jobs: dict[str, int] = {}
        self._others: list[int] = []

    def add(self, fall: Fall, now_ms: int) -> int:
        """One more; how many reasons there are now."""
        if fall.suspect is None:
            self._others.append(now_ms)
        else:
            self._of_jobs[fall.suspect] = now_ms
        since_ms = now_ms - RESTART_WINDOW_SECONDS * 1000
        self._others = [at for at in self._others if at >= since_ms]
        self._of_jobs = {job: at for job, at in self._of_jobs.items() if at >= since_ms}
        return len(self._others) + len(self._of_jobs)

    def answered(self) -> None:
        """The handler has answered a job."""
        self._of_jobs.clear()
