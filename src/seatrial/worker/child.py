"""The life of a worker process: load once, then one piece of work after another."""

# ruff: noqa: TID252  (the worker loads this package under a private name)
from __future__ import annotations

import faulthandler
import importlib
import os
import platform
import sys
import threading
import time
from typing import Any, Callable

from . import protocol
from .answer import Answer, Outbox, checked
from .asks import Asks
from .context import Context
from .failure import HandlerUnusable, describe, describe_load
from .link import Link
from .permits import Permits
from .request import Request
from .vitals import Vitals, cuda, device

Handle = Callable[[Request], Answer]
LAYOUTS = ("sagemaker", "python")


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
    link.send({"type": protocol.LOADING})
    link.flush()
    vitals = Vitals()
    try:
        context = Context(order["endpoint_name"], order["package"], asks)
        handle = _load(order, context)
        loaded = {"device": device(), "memory": vitals.memory_bytes(), "python": platform.python_version()}
    except BaseException as error:  # noqa: BLE001  user code: whatever it raises is a load failure
        _flush_output()
        link.send(dict(describe_load(error, order), type=protocol.LOAD_FAILED))
        link.flush()
        return 1
    _flush_output()
    link.send(dict(loaded, type=protocol.LOADED))
    marker = protocol.MARK + order["nonce"].encode() + b" "
    _Desk(link, permits, handle, context, vitals, marker).work()
    return 0


def _load(order: dict[str, Any], context: Context) -> Handle:
    if order["layout"] not in LAYOUTS:
        raise HandlerUnusable(f"the layout {order['layout']!r} is not one of {', '.join(LAYOUTS)}")
    os.chdir(order["package"])
    module = importlib.import_module(f"{__package__}.handlers.{order['layout']}")
    handle: Handle = module.load(order, context)
    return handle


class _Desk:
    """Takes one piece of work after another."""

    def __init__(
        self, link: Link, permits: Permits, handle: Handle, context: Context, vitals: Vitals, marker: bytes
    ) -> None:
        self._link = link
        self._permits = permits
        self._handle = handle
        self._context = context
        self._vitals = vitals
        self._marker = marker

    def work(self) -> None:
        """Until the server closes the socket. An answer leaves together with the next `begun`, if that is due."""
        while True:
            if not self._link.waiting():
                self._mark("")
                self._link.flush()
            frame = self._link.receive()
            if frame is None:
                return
            request = Request(frame)
            if not self._permits.take(request.number):
                continue
            self._mark(request.job_id)
            at = time.clock_gettime(time.CLOCK_BOOTTIME)
            begun: protocol.Begun = {"type": protocol.BEGUN, "token": request.token, "at": at}
            self._link.send(begun)
            self._link.flush()
            self._one(request)

    def _one(self, request: Request) -> None:
        threads = threading.active_count()
        self._context.begin(request.number, request.job_id, request.media_type, request.accept, request.attributes)
        started = time.perf_counter()
        header: protocol.Header
        try:
            header, segments = self._done(request, started)
        except BaseException as error:  # noqa: BLE001  user code: whatever it raises fails this job only
            header, segments = dict(describe(error), type=protocol.FAILED, token=request.token), []
            _release_device_memory()
        _flush_output()
        if threading.active_count() > threads:
            header = dict(header, threads=_newest_threads(threading.active_count() - threads))
        self._link.send(header, segments)

    def _done(self, request: Request, started: float) -> tuple[protocol.Done, list[bytes]]:
        answer = checked(self._handle(request))
        module = cuda()
        if module is not None:
            module.synchronize()  # errors of kernels that still run belong to this job
        handler_ms = (time.perf_counter() - started) * 1_000
        outbox = Outbox(request.folder)
        header: protocol.Done = {
            "type": protocol.DONE,
            "token": request.token,
            "media_type": answer.media_type,
            "body": outbox.put(answer.body),
            "parts": {name: outbox.put(payload) for name, payload in answer.parts.items()},
            "handler_ms": round(handler_ms, 3),
            "memory": self._vitals.memory_bytes(),
        }
        return header, outbox.segments

    def _mark(self, job_id: str) -> None:
        line = self._marker + job_id.encode() + b"\n"
        for descriptor in (1, 2):
            try:
                os.write(descriptor, line)
            except OSError:
                pass  # user code closed it: there is no output to attribute


def _newest_threads(count: int) -> list[str]:
    names = [thread.name[: protocol.NAME_CHARS_MAX] for thread in threading.enumerate()[-count:]]
    return names[: protocol.THREADS_NAMED_MAX]


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # user code closed or replaced it


def _release_device_memory() -> None:
    module = cuda()
    if module is None:
        return
    try:
        module.empty_cache()
    except Exception as error:  # noqa: BLE001  after a device fault every call may raise
        print(f"torch.cuda.empty_cache: {error}", file=sys.stderr)
