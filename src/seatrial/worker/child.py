"""The life of a worker process: load once, then one piece of work after another."""

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import faulthandler
import importlib
import os
import platform
import sys
import threading
import time
from typing import Any, Optional

from . import devices, job_lines, protocol
from .asks import Asks
from .causes import cause_of
from .context import Context
from .failure import HandlerUnusable, describe, describe_load
from .link import Link
from .outcome import Handle, begun, done
from .permits import Permits
from .request import Request
from .side_by_side import SideBySide
from .streams import Streams
from .tells import Tells
from .vitals import MOMENT_MS, Vitals, cuda, has_children

LAYOUTS_WITH_TASKS = ("runpod",)  # whose handlers may run side by side in this interpreter
LAYOUTS = ("sagemaker", "python", "runpod", "aws_lambda", "http", "cog")
MODULES = {"http": "http_container"}  # where the module has another name


def serve(descriptor: int, permits_descriptor: int, asks_descriptor: int) -> int:
    """Load and work until the server closes the socket; the exit code."""
    link = Link(descriptor)
    permits = Permits(permits_descriptor)
    asks = Asks(asks_descriptor, lambda: link.tell({"type": protocol.LISTENS}))
    faulthandler.enable(file=2)
    frame = link.receive()
    if frame is None:
        return 0
    order = frame[0]
    streams = Streams(order["nonce"])
    link.send({"type": protocol.LOADING})
    link.flush()
    vitals = Vitals()
    loaded: dict[str, Any]
    try:
        devices.require_present(order["device"])
        context = Context(order["endpoint_name"], order["package"], asks, Tells(link.tell))
        if order["layout"] in LAYOUTS_WITH_TASKS:
            job_lines.tell_apart(streams)
        handle = load(order, context)
        vitals.others_bytes = getattr(handle, "others_bytes", None)
        slots: Optional[int] = getattr(handle, "slots", None)  # None: one piece of work after another
        loaded = dict(_loaded(order["device"], vitals), slots=slots or 1)
    except BaseException as error:  # noqa: BLE001  user code: whatever it raises is a load failure
        streams.flush()
        link.send(dict(describe_load(error, order), type=protocol.LOAD_FAILED))
        link.flush()
        return 1
    streams.flush()
    link.send(dict(loaded, type=protocol.LOADED))
    growth = _Growth(loaded["memory"], order["memory_growth_bytes_max"])
    try:
        if slots is not None:
            SideBySide(link, permits, handle, context, vitals, growth.complaint, streams, slots).serve()
        else:
            _Desk(link, permits, handle, context, vitals, growth, streams).work()
    except OSError as error:  # not of a job: those are answered for
        print(f"seatrial: the connection to the server is gone: {error}", file=sys.stderr)
        return protocol.LINK_LOST_EXIT_CODE
    return 0


def load(order: dict[str, Any], context: Context) -> Handle:
    """Load the model of a `load` frame, in the folder of its package; what answers requests.

    Raises:
        HandlerUnusable: the package does not have what its layout needs. User code may raise anything.
    """
    if order["layout"] not in LAYOUTS:
        raise HandlerUnusable(f"the layout {order['layout']!r} is not one of {', '.join(LAYOUTS)}")
    os.chdir(order["package"])
    module = importlib.import_module(f"{__package__}.handlers.{MODULES.get(order['layout'], order['layout'])}")
    handle: Handle = module.load(order, context)
    return handle


def _loaded(wanted: Optional[str], vitals: Vitals) -> dict[str, Any]:
    """What is told of the loaded model; raises DeviceMissing if it is not where the package wants it."""
    seen = devices.sight()
    devices.require_used(wanted, seen)
    if wanted is not None and seen.used is None:
        vitals.ask_driver = devices.driver_bytes
    return {
        "memory": vitals.memory_bytes(),
        "memory_peak": vitals.peak_bytes(),
        "device": seen.device,
        "device_used": seen.used,
        "device_memory": seen.device_bytes,
        "device_evidence": seen.evidence[: protocol.MESSAGE_CHARS_MAX],
        "python": platform.python_version(),
    }


class _Growth:
    """How far memory may grow over the jobs of this process; without `bytes_max`, as far as it likes."""

    def __init__(self, loaded_bytes: int, bytes_max: Optional[int]) -> None:
        self._loaded_bytes = loaded_bytes
        self._bytes_max = bytes_max

    def complaint(self, bytes_now: int) -> Optional[str]:
        """Why the process can do no more work, if it is for that."""
        grown = bytes_now - self._loaded_bytes
        if self._bytes_max is None or grown <= self._bytes_max:
            return None
        return f"its memory has grown by {grown} bytes since it loaded; memory_growth_bytes_max is {self._bytes_max}"


class _Desk:
    """Takes one piece of work after another."""

    def __init__(
        self,
        link: Link,
        permits: Permits,
        handle: Handle,
        context: Context,
        vitals: Vitals,
        growth: _Growth,
        streams: Streams,
    ) -> None:
        self._link = link
        self._permits = permits
        self._handle = handle
        self._context = context
        self._vitals = vitals
        self._growth = growth
        self._streams = streams
        self._threads = threading.active_count()
        self._has_children = has_children()

    def work(self) -> None:
        """Until the server closes the socket, or the process is fit for no more work.

        An answer leaves together with the next `begun`, if that is due.
        """
        is_fit = True
        while is_fit:
            if not self._link.waiting():
                self._streams.mark("")
                self._link.flush()
            frame = self._link.receive()
            if frame is None:
                return
            request = Request(frame)
            if not self._permits.take(request.number):
                continue
            self._streams.mark(request.job_id)
            self._link.send(begun(request))
            self._link.flush()
            is_fit = self._one(request)
        self._link.flush()

    def _one(self, request: Request) -> bool:
        """True if the process can go on."""
        self._vitals.begin()
        self._context.begin(request.number, request.job_id, request.media_type, request.accept, request.attributes)
        self._context.tells.begin(request.token, request.job_id)
        started = time.perf_counter()
        header: dict[str, Any]
        complaint = None
        try:
            header, segments = done(self._handle, request, started)
        except BaseException as error:  # noqa: BLE001  user code: whatever it raises fails this job only
            header, segments = dict(describe(error), type=protocol.FAILED, token=request.token), []
            complaint = cause_of(error).unfit
            _release_device_memory()
        self._context.tells.end(request.job_id)
        self._streams.flush()
        took_ms = (time.perf_counter() - started) * 1_000
        header.update(self._vitals.measured(took_ms))
        complaint = complaint or self._context.unfit or self._growth.complaint(header["memory"])
        if complaint:
            header["unfit"] = complaint
        if took_ms >= MOMENT_MS:  # no process is started in less
            had_children, self._has_children = self._has_children, has_children()
            if self._has_children and not had_children:
                header["children"] = True
        threads = threading.active_count()
        if threads > self._threads:
            header["threads"] = _newest_threads(threads - self._threads)
        self._threads = threads
        self._link.send(header, segments)
        return complaint is None


def _newest_threads(count: int) -> list[str]:
    names = [thread.name[: protocol.NAME_CHARS_MAX] for thread in threading.enumerate()[-count:]]
    return names[: protocol.THREADS_NAMED_MAX]


def _release_device_memory() -> None:
    module = cuda()
    if module is None:
        return
    try:
        module.empty_cache()
    except Exception as error:  # noqa: BLE001  after a device fault every call may raise
        print(f"torch.cuda.empty_cache: {error}", file=sys.stderr)
