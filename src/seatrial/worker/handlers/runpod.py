"""RunPod's layout: a file that ends in `runpod.serverless.start({"handler": …})`, with the SDK of its environment.

The file runs as `__main__`, and the SDK's own start() with it, up to the point where the SDK would turn to RunPod's
queue (`runpod.serverless.worker.main`): there this process takes over. Each job then goes through the SDK's own code
for one job (`rp_job.run_job`, `rp_job.run_job_generator`), so that what a handler returns, raises, yields or asks for
means what it means at RunPod. An async handler with a `concurrency_modifier` has so many jobs
at once as that says, each a task of one event loop. Written against runpod/runpod-python 1.12.
"""

# ruff: noqa: TID252, UP006, UP035, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import threading
import types
from concurrent.futures import Future
from functools import partial
from typing import Any, Callable, Dict, Optional, Tuple

from .. import job_lines, protocol
from ..answer import JSON, Answer, NotSerialisable, answer, json_bytes
from ..context import Context
from ..failure import HandlerUnusable
from ..request import Request
from ..runpod_scale import RunpodScale
from ..vitals import synchronise

EXTRAS = "hidden_runpod"  # the attribute with what else a request had: s3Config, webhook, …
DEFAULT_FILE = "handler.py"
ENVIRONMENT = {  # unless the package says otherwise; the checks of machines are for machines that are rented
    "RUNPOD_POD_ID": "seatrial",
    "RUNPOD_LOG_LEVEL": "INFO",  # the SDK's own default is DEBUG, which logs every output
    "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
    "RUNPOD_SKIP_GPU_CHECK": "true",
}
SMALLER_CHUNKS = "Yield smaller chunks, or return the whole."


def load(order: dict[str, Any], context: Context) -> Callable[[Request], Answer]:
    """Run the handler's file up to its start of the worker, and its fitness checks.

    Raises:
        HandlerUnusable: it starts no worker, or one without a handler.
    """
    for name, value in {**ENVIRONMENT, "RUNPOD_ENDPOINT_ID": order["endpoint_name"]}.items():
        os.environ.setdefault(name, value)
    file = order["handler"] or DEFAULT_FILE
    config = _started(os.path.join(order["package"], file), file)
    if not callable(config.get("handler")):
        raise HandlerUnusable(f'{file} starts a worker without a handler: runpod.serverless.start({{"handler": …}})')
    asyncio.run(importlib.import_module("runpod.serverless.modules.rp_fitness").run_fitness_checks())
    _tell_progress(context)
    return _Handler(config, context)


class _Start(BaseException):
    """Leaves the file where the SDK would begin to serve."""


def _started(path: str, name: str) -> dict[str, Any]:
    """The configuration that the file starts its worker with."""
    if not os.path.isfile(path):
        raise HandlerUnusable(f"{name} is missing: the package must have it, and it must start a RunPod worker")
    worker = importlib.import_module("runpod.serverless.worker")
    started: list[dict[str, Any]] = []

    def take_over(config: dict[str, Any]) -> None:
        started.append(config)
        raise _Start

    worker.main = take_over  # type: ignore[attr-defined]
    main = types.ModuleType("__main__")
    main.__file__ = path
    sys.modules["__main__"] = main
    sys.argv = [path]
    sys.path.insert(0, os.path.dirname(path))
    with open(path, "rb") as source:
        code = compile(source.read(), path, "exec")
    try:
        exec(code, main.__dict__)  # noqa: S102  the user's own file, as `python FILE` runs it
    except _Start:
        pass
    if not started:
        raise HandlerUnusable(f'{name} starts no worker: end it with runpod.serverless.start({{"handler": handler}})')
    return started[0]


def _tell_progress(context: Context) -> None:
    """`runpod.serverless.progress_update` posts through this name: to the server instead of RunPod."""

    async def told(session: Any, job_data: dict[str, Any], job: dict[str, Any], is_stream: bool = False) -> None:
        context.tells.progress(job["id"], json_bytes(job_data["output"]))

    importlib.import_module("runpod.serverless.modules.rp_progress").send_result = told  # type: ignore[attr-defined]


class HandlerSaid(Exception):
    """The handler put something under "error": it is kept whole, with what stood beside it."""

    def __init__(self, error: Any, output: Any) -> None:
        super().__init__(error if isinstance(error, str) else json.dumps(error, default=str))
        beside = output if isinstance(output, dict) else {}
        if isinstance(beside.get("error_type"), str):
            self.error_type = beside["error_type"]
        self.details = {"error": error, **({"output": beside} if beside else {})}


class _Handler:
    """Runs jobs in one event loop: one after another when it is called, several at once between `begin` and `host`."""

    def __init__(self, config: dict[str, Any], context: Context) -> None:
        self._job = importlib.import_module("runpod.serverless.modules.rp_job")
        self._context = context
        self._refresh = bool(config.get("refresh_worker"))
        self._loop = asyncio.new_event_loop()
        self._tasks: Dict[str, asyncio.Task[Any]] = {}  # by job
        self._handler = config["handler"]
        self._streams = bool(self._job.is_generator(self._handler))
        is_async = _is_async(self._handler)
        if is_async:
            context.on_cancel(self._stop)
        self._scale: Optional[RunpodScale] = None
        if config.get("concurrency_modifier") and is_async:
            self._scale = RunpodScale(config)
            self._loop.run_until_complete(self._scale.begin())
        elif config.get("concurrency_modifier"):
            print("concurrency_modifier: a handler that is not async has one job at a time, whatever it says")

    @property
    def slots(self) -> Optional[int]:
        """How many jobs at once it begins with; None: always one after another."""
        return None if self._scale is None else self._scale.slots

    def __call__(self, request: Request) -> Answer:
        """The answer of one job.

        Raises:
            Exception: what the handler raised.
            HandlerSaid: it returned an error.
        """
        task = self._tasks[request.job_id] = self._loop.create_task(self._attempt(request))
        try:
            return self._answer(*self._loop.run_until_complete(task))
        finally:
            del self._tasks[request.job_id]

    def host(self, work: Callable[[], None], resize: Callable[[int], None]) -> None:
        """Run the loop in this thread, the main one as at RunPod, until `work` has returned in another."""
        assert self._scale is not None  # noqa: S101  else it is not asked to
        ended = self._loop.create_future()
        asking = self._loop.create_task(self._scale.go_on(lambda: bool(self._tasks), resize))

        def working() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  it is the hosting thread's
                self._loop.call_soon_threadsafe(ended.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(ended.set_result, None)

        threading.Thread(target=working, name="seatrial-work", daemon=True).start()
        try:
            self._loop.run_until_complete(ended)
        finally:
            asking.cancel()

    def begin(self, request: Request) -> Callable[[Request], Answer]:
        """Start with a job beside others; what waits, in another thread, for its answer as `__call__` gives it."""
        attempt: Future[Tuple[Optional[Exception], Dict[str, Any]]] = Future()
        self._loop.call_soon_threadsafe(self._start, request, attempt)
        return lambda _: self._answer(*attempt.result())

    def _start(self, request: Request, attempt: Future[Any]) -> None:
        task = self._tasks[request.job_id] = self._loop.create_task(self._beside(request))
        task.add_done_callback(partial(self._ended, request.job_id, attempt))
        self._changed()

    async def _beside(self, request: Request) -> Any:
        job_lines.JOB.set(request.job_id)
        try:
            return await self._attempt(request)
        except (SystemExit, KeyboardInterrupt) as error:
            return error  # it ends the job; raised here it would end the loop, with all others

    def _ended(self, job_id: str, attempt: Future[Any], task: asyncio.Task[Any]) -> None:
        del self._tasks[job_id]
        job_lines.end(job_id)
        self._changed()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None and isinstance(task.result(), BaseException):
            error = task.result()
        if error is None:
            attempt.set_result(task.result())
        else:
            attempt.set_exception(error)

    def _changed(self) -> None:
        if self._scale is not None:
            self._scale.changed()

    def _answer(self, raised: Optional[Exception], result: Dict[str, Any]) -> Answer:
        if self._refresh or result.get("stopPod"):
            self._context.leave("it asked for a fresh worker (refresh_worker)")
        if raised is not None:
            raise raised
        if result.get("error"):
            raise HandlerSaid(result["error"], result.get("output"))
        synchronise()
        output = result.get("output", {})  # the SDK leaves an empty object out
        return answer(output) if isinstance(output, dict) else Answer(json_bytes(output), JSON, {})

    async def _attempt(self, request: Request) -> Tuple[Optional[Exception], Dict[str, Any]]:
        """What the handler raised, which the SDK makes text of, and what the SDK made of all."""
        job = {**json.loads(request.attributes.get(EXTRAS, "{}")), "id": request.job_id, "input": request.json()}
        note = _Note()
        handler = _noting(self._handler, note)
        result = await (self._stream(handler, job) if self._streams else self._job.run_job(handler, job))
        return note.raised, result

    async def _stream(self, handler: Callable[..., Any], job: dict[str, Any]) -> dict[str, Any]:
        """As the SDK's handle_job; the result has every chunk, whether the handler aggregates them or not."""
        chunks: list[Any] = []
        async for told in self._job.run_job_generator(handler, job):
            chunk = told.get("output")
            error = told.get("error") or (chunk.get("error") if isinstance(chunk, dict) else None)
            if error:
                return {"error": error, "output": {"stream": chunks} if chunks else {}}
            data = json_bytes(chunk)
            if len(data) > protocol.SEGMENT_BYTES_MAX:
                message = f"a chunk of {len(data)} bytes; at most {protocol.SEGMENT_BYTES_MAX} are allowed"
                raise NotSerialisable(f"[{len(chunks)}]", message, SMALLER_CHUNKS)
            self._context.tells.chunk(job["id"], data)
            chunks.append(chunk)
        return {"output": chunks}

    def _stop(self, job_id: str) -> None:
        """Cancel the job's task, as RunPod's worker does when it is told to stop a job."""
        self._loop.call_soon_threadsafe(self._cancel, job_id)

    def _cancel(self, job_id: str) -> None:
        task = self._tasks.get(job_id)
        if task is not None:
            task.cancel()


def _is_async(handler: Any) -> bool:
    """An object counts by its `__call__`."""
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(is_it(one) for is_it in kinds for one in (handler, getattr(handler, "__call__", None)))  # noqa: B004


def _noting(handler: Callable[..., Any], note: _Note) -> Callable[..., Any]:
    """The handler, of the same kind for the SDK; what it raises is noted."""
    if inspect.isasyncgenfunction(handler):

        async def stream_async(job: dict[str, Any]) -> Any:
            with note:
                async for chunk in handler(job):
                    yield chunk

        return stream_async
    if inspect.isgeneratorfunction(handler):

        def stream(job: dict[str, Any]) -> Any:
            with note:
                yield from handler(job)

        return stream

    async def once(job: dict[str, Any]) -> Any:
        with note:
            value = handler(job)
            return await value if inspect.isawaitable(value) else value

    return once


class _Note:
    """Keeps what is raised inside of it, and lets it go on."""

    def __init__(self) -> None:
        self.raised: Optional[Exception] = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Optional[BaseException], frames: Any) -> None:
        if isinstance(error, Exception):
            self.raised = error
