"""Where workers run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from seatrial.domain.failures import Failure
from seatrial.domain.work import Loaded, Produced, Work, WorkerSpec


class Worker(Protocol):
    """One process that holds a loaded model. It works on `slots` pieces of work at a time, in the order given."""

    @property
    def id(self) -> str:
        """Unique on this machine, and the name of its log stream."""
        ...

    @property
    def recycled(self) -> str | None:
        """Why it leaves (or has left) after a job that it answered, as fit for no more; None otherwise."""
        ...

    @property
    def slots(self) -> int:
        """How many pieces of work it takes at once, as of now."""
        ...

    def on_resized(self, listener: Callable[[], None]) -> None:
        """Call this when `slots` may have changed."""
        ...

    async def load(self) -> Loaded:
        """Wait until the model is loaded.

        Raises:
            LoadFailed: it raised, the process died, or the load timeout passed (the process is gone then).
        """
        ...

    async def run(self, work: Work) -> Produced:
        """Send one piece of work and wait for what the handler returns.

        May be called again before the first returns: the process then goes on without a pause. The work's
        timeout counts from the moment that the handler begins with it.

        Raises:
            HandlerFailed: the handler raised; the worker lives on.
            Withdrawn: it was taken back, see `withdraw`.
            WorkTimedOut: it ran too long; its handler has stopped when asked, or the process is gone.
            WorkerDied: the process went away. Every piece of work that it held gets this.
        """
        ...

    def on_told(self, listener: Callable[[str, str, bytes], None]) -> None:
        """Call this with what handlers tell while they work: token, "chunk" or "progress", and JSON."""
        ...

    def running_ms(self) -> float | None:
        """How long the handler has been at the piece of work that it began last; None when it is at none."""
        ...

    def withdraw(self) -> None:
        """Take back all work that the handler has not begun with, and never will: `run` raises Withdrawn.

        Needs no answer of the process, so it works at once whatever the handler does.
        """
        ...

    def begun(self, token: str) -> bool:
        """True once the handler has begun with that piece of work (also after the process is gone)."""
        ...

    async def is_over(self, token: str) -> bool:
        """True if nothing of that work, begun and answered, still runs: no thread, and no process since it began."""
        ...

    def forget(self, token: str) -> None:
        """The outcome of that work is settled: files of its answer, which stay readable until then, may go."""
        ...

    async def end(self, token: str) -> None:
        """Stop that work: taken back if it has not begun; else its handler is asked, if it listens, and then made to.

        Returns once the handler has returned from it, or the process is gone, as after `stop`.
        """
        ...

    async def wait_gone(self) -> Failure:
        """Until the process and every descendant of it have been seen gone; how it ended."""
        ...

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM, SIGKILL after the grace, every descendant too; returns when all are seen gone."""
        ...


class ModelPool(Protocol):
    """Starts workers and finds those that a killed server left behind."""

    async def start(self, spec: WorkerSpec) -> Worker:
        """Start a process for the spec; `load` tells when it is ready."""
        ...

    async def kill_orphans(self) -> int:
        """End every process that an earlier server of this data folder left behind; how many there were."""
        ...

    async def write_down(self, spec: WorkerSpec, work: Work | None, folder: Path) -> None:
        """Write into the folder what it takes to run that work by hand, later, without the server.

        None: only to load. Values of secrets are left out; files that the work names must outlive it.
        """
        ...

    def isolation(self) -> str | None:
        """None when fixed paths (/opt/ml/model, /var/task, /tmp) are given to each worker; else why not."""
        ...
