"""One worker process, as the engine sees it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from seatrial.adapters.processes.channel import Channel
from seatrial.adapters.processes.death import as_traceback, death, out_of_memory_kills
from seatrial.adapters.processes.descendants import Family
from seatrial.adapters.processes.launch import Started
from seatrial.adapters.processes.output import Output
from seatrial.adapters.processes.packing import WorkFrame, produced
from seatrial.adapters.processes.redaction import Redactor
from seatrial.adapters.processes.scratch import Scratch
from seatrial.domain.errors import HANDLER_ERROR, LOAD_FAILED, LOAD_TIMEOUT, WORKER_CRASHED
from seatrial.domain.failures import Failure
from seatrial.domain.limits import WORK_REMEMBERED_MAX, WORKER_STOP_GRACE_SECONDS
from seatrial.domain.work import (
    HandlerFailed,
    Loaded,
    LoadFailed,
    Produced,
    Work,
    WorkerDied,
    WorkerSpec,
    WorkTimedOut,
)
from seatrial.worker import protocol

PROTOCOL_REMEDY = "Let the handler leave alone every file descriptor that it did not open itself: one is the server's."


@dataclass(slots=True)
class _Held:
    """A piece of work that the process has been given. `number` names its folder."""

    number: int
    timeout_seconds: float
    answered: asyncio.Future[Produced]
    uses_folder: bool
    timer: asyncio.TimerHandle | None = None
    timed_out: bool = False


class ProcessWorker:
    """Implements `ports.model_pool.Worker` with a process on this machine."""

    def __init__(
        self,
        worker_id: str,
        spec: WorkerSpec,
        started: Started,
        scratch: Scratch,
        output: Output,
        redactor: Redactor,
    ) -> None:
        self._id = worker_id
        self._spec = spec
        self._process = started.process
        self._scratch = scratch
        self._output = output
        self._redactor = redactor
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._family = Family(self._process.pid, worker_id)
        self._memory_kills_before = out_of_memory_kills()
        self._numbers = 0
        self._order = asyncio.Lock()
        self._held: dict[str, _Held] = {}
        self._begun: dict[str, None] = {}
        self._answer_folders: dict[str, int] = {}
        self._loaded: Loaded | None = None
        self._load_failure: Failure | None = None
        self._load_ended = asyncio.Event()
        self._exited = asyncio.Event()
        self._gone = asyncio.Event()
        self._ended_by_us = False
        self._fault: Failure | None = None  # why the process must go, where its exit code will not tell
        self._tasks: set[asyncio.Task[None]] = set()
        self._channel = Channel(started.channel, self._on_frames, self._on_malformed)
        output.attach(started.stdout, started.stderr)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    @property
    def id(self) -> str:
        """Unique on this machine, and the name of its log stream."""
        return self._id

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def send_load(self, order: protocol.Load) -> None:
        """Tell the process what to load; the first thing that it is told."""
        self._channel.send(order)

    async def load(self) -> Loaded:
        """See `ports.model_pool.Worker.load`."""
        left_seconds = self._started_at + self._spec.load_timeout_seconds - self._loop.time()
        try:
            await asyncio.wait_for(self._load_ended.wait(), left_seconds)
        except TimeoutError:
            message = f"the model was not loaded within {self._spec.load_timeout_seconds:g} s"
            now = f"now {self._spec.load_timeout_seconds:g} s"
            details = {
                "stderr": self._output.last_lines(),
                "remedy": f"Raise load_timeout_seconds ({now}) in [worker], or load less.",
            }
            self._load_failure = self._while_loading(Failure(LOAD_TIMEOUT, message, details))
            await self.stop(WORKER_STOP_GRACE_SECONDS)
        if self._load_failure is not None:
            await self._gone.wait()
            raise LoadFailed(self._load_failure)
        assert self._loaded is not None  # noqa: S101  one of the two is set before the event
        return self._loaded

    async def run(self, work: Work) -> Produced:
        """See `ports.model_pool.Worker.run`. Files of the answer stay until `forget`."""
        self._numbers += 1
        number = self._numbers
        frame = WorkFrame(work, self._spec.layout, self._scratch.job(number))
        answered: asyncio.Future[Produced] = self._loop.create_future()
        async with self._order:  # a later one does not overtake it while its files are written
            if frame.has_files and not self._exited.is_set():
                await self._write_files(frame, number)
            if self._exited.is_set():
                raise WorkerDied(self._death(), begun=False, by_us=self._ended_by_us)
            self._held[work.token] = _Held(number, work.timeout_ms / 1_000, answered, frame.uses_folder)
            self._channel.send(frame.header, frame.segments)
        return await answered

    async def _write_files(self, frame: WorkFrame, number: int) -> None:
        try:
            await asyncio.to_thread(frame.write_files)
        except OSError:
            await self._scratch.remove_job(number)  # on a full disk, what was written is part of the trouble
            raise

    def begun(self, token: str) -> bool:
        """See `ports.model_pool.Worker.begun`; of settled work the last `WORK_REMEMBERED_MAX` are known."""
        return token in self._begun

    def forget(self, token: str) -> None:
        """The outcome is settled: the files of its answer go, and what is remembered of it."""
        self._begun.pop(token, None)
        number = self._answer_folders.pop(token, None)
        if number is not None:
            self._spawn(self._scratch.remove_job(number))

    async def wait_gone(self) -> None:
        """See `ports.model_pool.Worker.wait_gone`."""
        await self._gone.wait()

    async def stop(self, grace_seconds: float) -> None:
        """See `ports.model_pool.Worker.stop`."""
        if not self._exited.is_set() and self._process.poll() is None:
            self._ended_by_us = True
            self._signal_group(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._exited.wait(), grace_seconds)
            except TimeoutError:
                await self._family.kill()
        await self._gone.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass  # it has just left

    # --- what the process says ---

    def _on_frames(self, frames: list[protocol.Frame]) -> None:
        self._output.drain()  # what a job wrote is with the log store before its outcome is known
        try:
            for frame in frames:
                self._on_frame(frame)
        except protocol.Malformed as error:
            self._on_malformed(error)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._on_malformed(protocol.Malformed(f"a frame that is incomplete: {error!r}"))

    def _on_frame(self, frame: protocol.Frame) -> None:
        header = frame[0]
        kind = header["type"]
        if kind == protocol.DONE:
            self._on_done(frame)
        elif kind == protocol.BEGUN:
            self._on_begun(header["token"])
        elif kind == protocol.FAILED:
            self._on_failed(header)
        elif kind == protocol.LOADING:
            self._family.remember_namespace()
        elif kind == protocol.LOADED:
            self._on_loaded(header)
        elif kind == protocol.LOAD_FAILED:
            self._on_load_failed(header)
        else:
            raise protocol.Malformed(f"a frame of the unknown type {kind!r}")

    def _on_malformed(self, error: protocol.Malformed) -> None:
        if self._fault is None:
            self._fault = Failure(
                WORKER_CRASHED,
                f"the worker process broke the pipe protocol, and was killed: it sent {error}",
                {"stderr": self._output.last_lines(), "remedy": PROTOCOL_REMEDY},
            )
            self._signal_group(signal.SIGKILL)

    def _on_loaded(self, header: dict[str, Any]) -> None:
        self._loaded = Loaded(
            pid=self._process.pid,
            seconds=self._loop.time() - self._started_at,
            memory_bytes=int(header["memory"]),
            python_version=str(header["python"]),
            device=str(header["device"]),
        )
        self._load_ended.set()

    def _on_load_failed(self, header: dict[str, Any]) -> None:
        failure = _failure(header)
        if failure.error_type == HANDLER_ERROR:
            failure = Failure(LOAD_FAILED, failure.message, failure.details)
        self._load_failure = self._redactor.failure(failure)
        self._load_ended.set()
        self._spawn(self.stop(WORKER_STOP_GRACE_SECONDS))  # threads of the user's may keep it from leaving

    def _on_begun(self, token: str) -> None:
        held = self._held_as(token)
        self._begun[token] = None
        if len(self._begun) > WORK_REMEMBERED_MAX:
            del self._begun[next(iter(self._begun))]
        held.timer = self._loop.call_later(held.timeout_seconds, self._on_timeout, held)

    def _on_timeout(self, held: _Held) -> None:
        self._channel.drain()  # it may have ended in time, and this loop was late
        if held.answered.done() or self._exited.is_set():
            return
        held.timed_out = True
        self._spawn(self.stop(WORKER_STOP_GRACE_SECONDS))

    def _on_done(self, frame: protocol.Frame) -> None:
        token = frame[0]["token"]
        held = self._held_as(token)
        result = produced(frame, self._scratch.job(held.number))
        answer_is_wanted = self._settle(token, held)
        if answer_is_wanted:
            held.answered.set_result(result)
        has_files = not all(isinstance(one, bytes) for one in (result.body, *result.parts.values()))
        if answer_is_wanted and has_files:
            self._answer_folders[token] = held.number
        elif has_files or held.uses_folder:
            self._spawn(self._scratch.remove_job(held.number))

    def _on_failed(self, header: dict[str, Any]) -> None:
        held = self._held_as(header["token"])
        failure = self._redactor.failure(_failure(header))
        if self._settle(header["token"], held):
            held.answered.set_exception(HandlerFailed(failure))
        self._spawn(self._scratch.remove_job(held.number))

    def _held_as(self, token: str) -> _Held:
        held = self._held.get(token)
        if held is None:
            raise protocol.Malformed(f"a frame about the work {token!r}, which it does not hold")
        return held

    def _settle(self, token: str, held: _Held) -> bool:
        """Let go of the work; True if someone waits for its outcome, and it is not one after its timeout."""
        if held.timed_out:
            return False  # it came late: the process is on its way out, and the outcome is the timeout
        del self._held[token]
        if held.timer is not None:
            held.timer.cancel()
        return not held.answered.done()

    # --- the end ---

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._channel.drain()
        self._output.drain()
        self._exited.set()
        self._spawn(self._end())

    async def _end(self) -> None:
        await self._family.kill()
        self._family.release()
        self._output.close()
        self._channel.close()
        await self._scratch.remove()
        failure = self._death()
        for token, held in self._held.items():
            if held.timer is not None:
                held.timer.cancel()
            if held.answered.done():
                continue  # nobody waits any more
            if held.timed_out:
                held.answered.set_exception(WorkTimedOut(f"ran longer than {held.timeout_seconds:g} s"))
            else:
                died = WorkerDied(failure, begun=token in self._begun, by_us=self._ended_by_us)
                held.answered.set_exception(died)
        self._held.clear()
        if self._loaded is None and self._load_failure is None:
            last = self._output.last_lines()[-1:] if "exit_code" in failure.details else []
            message = ": ".join([f"{failure.message}, while it loaded", *last])
            self._load_failure = self._while_loading(Failure(LOAD_FAILED, message, failure.details))
        self._load_ended.set()
        self._gone.set()

    def _death(self) -> Failure:
        failure = self._fault or death(
            self._process.returncode,
            self._output.last_lines(),
            by_us=self._ended_by_us,
            memory_kills=out_of_memory_kills() - self._memory_kills_before,
            endpoint_name=self._spec.endpoint_name,
        )
        return self._redactor.failure(failure)

    def _while_loading(self, failure: Failure) -> Failure:
        """With the last lines of stderr where an exception would have its traceback."""
        said = as_traceback(self._output.last_lines())
        return self._redactor.failure(
            Failure(failure.error_type, failure.message, {"traceback": said, **failure.details})
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _failure(header: dict[str, Any]) -> Failure:
    return Failure(str(header["error_type"]), str(header["message"]), dict(header["details"]))
