"""What the server asks of a handler at work: to stop with it."""

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import fcntl
import os
import select
import threading
from typing import Callable, Dict, List, Optional, Set  # noqa: UP035  (Python 3.9)

from . import protocol

# ruff: noqa: UP006  (Python 3.9)
AHEAD_MS = 20
Hook = Callable[[str], object]


class Asks:
    """Numbers of works that are to stop, in a pipe: the handler looks whether its own has come, or a hook is called.

    `on_first_use` is called once, when the handler begins to look or to wait: from then on the server asks before it
    kills. There is a thread only for a hook.
    """

    def __init__(self, descriptor: int, on_first_use: Callable[[], None]) -> None:
        self._pipe = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, protocol.DESCRIPTOR_MIN)
        os.close(descriptor)
        os.set_blocking(self._pipe, False)
        self._on_first_use: Optional[Callable[[], None]] = on_first_use
        self._lock = threading.Lock()
        self._asked = 0
        self._current = (0, "")
        self._at_work: Dict[int, str] = {}  # number -> job
        self._newest = 0
        self._to_tell: Set[int] = set()  # asked, and not yet told to the hook
        self._hook: Optional[Hook] = None
        os.register_at_fork(after_in_child=self._forget)

    def begin(self, number: int, job_id: str) -> None:
        """The handler turns to this piece of work, and to no other."""
        self._current, self._at_work, self._newest = (number, job_id), {number: job_id}, number

    def join(self, number: int, job_id: str) -> None:
        """The handler turns to this piece of work too. For hooks: `is_asked` could not tell which one is meant."""
        with self._lock:
            self._at_work[number] = job_id
            self._newest = number

    def part(self, number: int) -> None:
        """It has returned from one that had joined."""
        with self._lock:
            del self._at_work[number]

    def is_asked(self) -> bool:
        """True if the work at hand is to stop. May be asked often, and from any thread."""
        self._used()
        self._read()
        return self._asked == self._current[0] > 0

    def call(self, hook: Hook) -> None:
        """From now on call the hook with the job's id, in a thread of ours, when the work at hand is to stop."""
        first, self._hook = self._hook is None, hook
        if first:
            self._used()
            threading.Thread(target=self._wait, name="seatrial-cancel", daemon=True).start()

    def _used(self) -> None:
        with self._lock:
            tell, self._on_first_use = self._on_first_use, None
        if tell is not None:
            tell()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while True:
            poll.poll(AHEAD_MS if self._to_tell else None)  # the handler is about to begin with those
            if not self._read():
                return
            for job_id in self._due():
                try:
                    if self._hook is not None:
                        self._hook(job_id)
                except Exception as error:  # noqa: BLE001  user code: its job is stopped by force then
                    os.write(2, f"cancel({job_id!r}) raised {type(error).__name__}: {error}\n".encode())

    def _due(self) -> List[str]:
        """Jobs at work that are to stop; of what is over nothing is kept."""
        with self._lock:
            at_work = dict(self._at_work)
            jobs = [at_work[number] for number in sorted(self._to_tell) if number in at_work]
            self._to_tell = {one for one in self._to_tell - at_work.keys() if one > self._newest}
        return jobs

    def _read(self) -> bool:
        """Take what has come; False once the server has closed its end."""
        with self._lock:
            try:
                records = os.read(self._pipe, protocol.PERMIT.size * 64)
            except BlockingIOError:
                return True
            if records:
                numbers = [number for (number,) in protocol.PERMIT.iter_unpack(records)]
                self._asked = numbers[-1]
                wanted = self._to_tell.union(numbers)
                self._to_tell = {one for one in wanted if one > self._newest or one in self._at_work}
            return bool(records)

    def _forget(self) -> None:
        """In a process that the handler forked: the work is its parent's."""
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, self._pipe, inheritable=False)
        os.close(null)
        self._lock = threading.Lock()
        self._current, self._at_work = (0, ""), {}
