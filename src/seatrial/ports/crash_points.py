"""Named points along the life of a job and of an endpoint, at which a test may end or hold this process.

Silent, and as good as free, unless a server was started with SEATRIAL_CRASH_POINTS, the path of a file that need not be
there: wiring hands it to `arm`. Whoever puts an order into that file has it obeyed, once; then the file is gone.
Whoever removes the file takes the order back.

    kill finish.committed 2    kill -9 itself at the second arrival at that point from now on
    hold lease.taken 1         SIGSTOP itself there, until somebody sends SIGCONT

Every point stands right after a durable effect, or right before the next one. The list is complete: a test fails when
one of them is not exercised.
"""

from __future__ import annotations

import os
import signal
import threading
from enum import StrEnum
from pathlib import Path

VARIABLE = "SEATRIAL_CRASH_POINTS"
_SIGNALS = {"kill": signal.SIGKILL, "hold": signal.SIGSTOP}


class CrashPoint(StrEnum):
    """Where a process may be ended or held."""

    START_ORPHANS_ENDED = "start.orphans_ended"  # an earlier server's processes are gone, its sessions still open
    START_SESSIONS_CLOSED = "start.sessions_closed"

    SUBMIT_INPUT_KEPT = "submit.input_kept"  # a large body is an object, and no job names it yet
    SUBMIT_COMMITTED = "submit.committed"  # the job is durable, its client has no answer

    LEASE_OPENED = "lease.opened"
    LEASE_TAKEN = "lease.taken"  # claims are durable, and nobody works on them

    RUN_PREPARED = "run.prepared"  # the input is at hand, the worker has not been told
    RUN_ANSWERED = "run.answered"  # the handler's answer is in memory only

    STAGE_FILE_WRITTEN = "stage.file_written"  # a blob's bytes are on the disk, its folder's entry is not
    STAGE_PART_SEALED = "stage.part_sealed"
    STAGE_ALL_SEALED = "stage.all_sealed"

    COMMIT_WRITTEN = "commit.written"  # a transaction is complete, except for its COMMIT
    COMMIT_DONE = "commit.done"  # it is durable, and nobody has been told

    FINISH_COMMITTED = "finish.committed"  # the decision is durable, nobody has been told

    PUBLISH_PART_REVEALED = "publish.part_revealed"  # where objects are not rows: one name is visible
    PUBLISH_FAILURE_REVEALED = "publish.failure_revealed"
    PUBLISH_COMMITTED = "publish.committed"  # the terminal state is durable, staging is still there
    PUBLISH_GIVEN_UP = "publish.given_up"  # the result became a failure; what shows of it is still there

    NOTIFY_TOLD = "notify.told"  # the receiver has answered, and nothing says so yet
    NOTIFY_RECORDED = "notify.recorded"

    ARRIVAL_ACTED = "arrival.acted"  # what an object's event sets off is durable, and nothing says so yet

    CLOSE_PROCESS_GONE = "close.process_gone"  # a worker's processes are gone, its session still open
    CLOSE_COMMITTED = "close.committed"

    CANCEL_COMMITTED = "cancel.committed"  # the cancel, or the wish for it, is durable
    CANCEL_PROCESS_GONE = "cancel.process_gone"  # the work has been stopped

    DEPLOY_CREATED = "deploy.created"
    DEPLOY_PACKAGE_STORED = "deploy.package_stored"  # in its folder, and the version does not know it yet
    DEPLOY_PROVED = "deploy.proved"  # the trial has passed, the old version still serves
    DEPLOY_IN_SERVICE = "deploy.in_service"
    DELETE_QUEUE_FAILED = "delete.queue_failed"  # the endpoint's jobs have ended, it is still there


class _Orders:
    """The order in force, from a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._read_at: int | None = None  # the file's time of change
        self._point: CrashPoint | None = None
        self._left = 0
        self._number = signal.SIGKILL

    def reached(self, point: CrashPoint) -> None:
        with self._lock:
            self._look()
            if point is not self._point:
                return
            self._left -= 1
            if self._left:
                return
            self._point = None
            self._file.unlink(missing_ok=True)
        os.kill(os.getpid(), self._number)

    def _look(self) -> None:
        try:
            changed_at = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            self._point = self._read_at = None
            return
        if changed_at != self._read_at:
            how, name, arrivals = self._file.read_text().split()
            self._point, self._left, self._number = CrashPoint(name), int(arrivals), _SIGNALS[how]
            self._read_at = changed_at


_orders: _Orders | None = None


def reached(point: CrashPoint) -> None:
    """This process is at that point."""
    if _orders is not None:
        _orders.reached(point)


def arm(file: str | None) -> None:
    """Obey the orders that appear in this file; None: there are none, ever."""
    global _orders  # noqa: PLW0603 - one per process, as the process is what it ends
    _orders = _Orders(Path(file)) if file else None
