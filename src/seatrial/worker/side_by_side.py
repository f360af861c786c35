"""The life of a worker whose handler takes several pieces of work at once: each in a thread of its own."""

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List, Optional  # noqa: UP035

from . import protocol
from .causes import cause_of
from .context import Context
from .failure import describe
from .link import Link
from .outcome import Handle, begun, done
from .permits import Permits
from .request import Request
from .streams import Streams
from .vitals import Vitals

# ruff: noqa: UP006  (Python 3.9)


class SideBySide:
    """Begins with a piece of work as soon as one of its slots is free.

    The handler is called from the threads. One whose work is tasks of an event loop has `begin(request)`, which starts
    a piece of work and returns what waits for its answer, and `host(work, resize)`, which runs the loop in the thread
    at hand until `work` has returned in another, and calls `resize` with how many pieces it takes from then on.
    """

    def __init__(
        self,
        link: Link,
        permits: Permits,
        handle: Handle,
        context: Context,
        vitals: Vitals,
        complaint: Callable[[int], Optional[str]],
        streams: Streams,
        slots: int,
    ) -> None:
        """`complaint` says why a process with so much memory does no more work."""
        self._link = link
        self._permits = permits
        self._handle = handle
        self._context = context
        self._vitals = vitals
        self._complaint = complaint
        self._streams = streams
        self._slots = slots
        self._changed = threading.Condition()  # the slots, what runs, or whether more may begin
        self._running: Dict[str, str] = {}  # token -> job
        self._unfit = False

    def serve(self) -> None:
        """Until the server closes the socket, or the process is fit for no more work and has ended what it had."""
        host = getattr(self._handle, "host", None)
        if host is None:
            self._work()
        else:
            host(self._work, self._resize)

    def _work(self) -> None:
        self._streams.mark("")
        self._link.flush()
        while True:
            frame = self._link.receive()
            if frame is None:
                return
            request = Request(frame)
            if self._may_begin(request):
                self._begin(request)

    def _may_begin(self, request: Request) -> bool:
        """Waits for a slot; False if it was taken back, or is the server's to take back."""
        with self._changed:
            self._changed.wait_for(lambda: self._unfit or len(self._running) < self._slots)
            if self._unfit or not self._permits.take(request.number):
                return False
            self._running[request.token] = request.job_id
            self._mark()
            return True

    def _begin(self, request: Request) -> None:
        self._context.tells.begin(request.token, request.job_id)
        self._link.tell(begun(request))
        begin = getattr(self._handle, "begin", None)
        handle = self._handle if begin is None else begin(request)
        self._context.join(request.number, request.job_id)
        threading.Thread(target=self._one, args=(handle, request), daemon=True).start()

    def _one(self, handle: Handle, request: Request) -> None:
        started = time.perf_counter()
        header: Dict[str, Any]
        segments: List[bytes] = []
        complaint = None
        try:
            header, segments = done(handle, request, started)
        except BaseException as error:  # noqa: BLE001  whatever goes wrong fails this job only
            header = dict(describe(error), type=protocol.FAILED, token=request.token)
            complaint = cause_of(error).unfit
        self._context.part(request.number)
        self._context.tells.end(request.job_id)
        memory, settled = self._vitals.reading_after((time.perf_counter() - started) * 1_000)
        if settled:
            header["memory_kept"] = memory
        header.update(memory=memory, memory_peak=memory)
        complaint = complaint or self._context.unfit or self._complaint(memory)
        with self._changed:
            if complaint and not self._unfit:
                self._unfit = True
                header["unfit"] = complaint
            del self._running[request.token]
            self._mark()
            self._link.tell(header, segments)
            self._changed.notify_all()
            if self._unfit and not self._running:
                self._link.hang_up()

    def _resize(self, slots: int) -> None:
        with self._changed:
            self._slots = slots
            self._changed.notify_all()
        self._link.tell({"type": protocol.SLOTS, "slots": slots})

    def _mark(self) -> None:
        """Output is a job's only while that one runs alone, unless it is known whose it is."""
        jobs = list(self._running.values())
        self._streams.mark(jobs[0] if len(jobs) == 1 else "")
