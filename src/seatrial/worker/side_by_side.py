"""The life of a worker whose handler takes several pieces of work at once: each in a thread of its own."""

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List, Optional  # noqa: UP035

from . import protocol
from .failure import describe
from .link import Link
from .outcome import Handle, begun, done
from .permits import Permits
from .request import Request
from .streams import Streams
from .vitals import Vitals

# ruff: noqa: UP006  (Python 3.9)


class SideBySide:
    """Begins with a piece of work as soon as one of its slots is free."""

    def __init__(
        self,
        link: Link,
        permits: Permits,
        handle: Handle,
        vitals: Vitals,
        complaint: Callable[[int], Optional[str]],
        streams: Streams,
        slots: int,
    ) -> None:
        """`complaint` says why a process with so much memory does no more work."""
        self._link = link
        self._permits = permits
        self._handle = handle
        self._vitals = vitals
        self._complaint = complaint
        self._streams = streams
        self._slots = threading.Semaphore(slots)
        self._lock = threading.Lock()
        self._running: Dict[str, str] = {}  # token -> job
        self._unfit = False

    def work(self) -> None:
        """Until the server closes the socket."""
        self._streams.mark("")
        self._link.flush()
        while True:
            frame = self._link.receive()
            if frame is None:
                return
            request = Request(frame)
            self._slots.acquire()
            if self._unfit or not self._permits.take(request.number):  # what waits is the server's to take back
                self._slots.release()
                continue
            with self._lock:
                self._running[request.token] = request.job_id
                self._mark()
            self._link.tell(begun(request))
            threading.Thread(target=self._one, args=(request,), daemon=True).start()

    def _one(self, request: Request) -> None:
        started = time.perf_counter()
        header: Dict[str, Any]
        segments: List[bytes] = []
        try:
            header, segments = done(self._handle, request, started)
        except BaseException as error:  # noqa: BLE001  whatever goes wrong fails this job only
            header = dict(describe(error), type=protocol.FAILED, token=request.token)
        memory = self._vitals.memory_bytes()
        header.update(memory=memory, memory_peak=memory)
        complaint = self._complaint(memory)
        with self._lock:
            if complaint and not self._unfit:
                self._unfit = True
                header["unfit"] = complaint
            del self._running[request.token]
            self._mark()
        self._link.tell(header, segments)
        self._slots.release()

    def _mark(self) -> None:
        """Output is a job's only while that one runs alone."""
        jobs = list(self._running.values())
        self._streams.mark(jobs[0] if len(jobs) == 1 else "")
