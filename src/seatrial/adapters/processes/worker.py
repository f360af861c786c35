"""One worker process, as the engine sees it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.adapters.processes.alarm import Alarm
from seatrial.adapters.processes.channel import Channel
from seatrial.adapters.processes.container import container_name, remove_container
from seatrial.adapters.processes.death import as_traceback, death, out_of_memory_kills
from seatrial.adapters.processes.descendants import Family
from seatrial.adapters.processes.lambda_lines import LAYOUT as LAMBDA
from seatrial.adapters.processes.lambda_lines import lines_of_a_death
from seatrial.adapters.processes.launch import Started
from seatrial.adapters.processes.output import Output
from seatrial.adapters.processes.packing import WorkFrame, produced
from seatrial.adapters.processes.redaction import Redactor
from seatrial.adapters.processes.scratch import Scratch
from seatrial.adapters.processes.watchman import Taken, Watchman
from seatrial.domain.errors import (
    HANDLER_ERROR,
    LINK_BROKEN,
    LOAD_FAILED,
    LOAD_TIMEOUT,
    OUT_OF_MEMORY,
    TOO_MANY_PROCESSES,
    WORKER_STALLED,
)
from seatrial.domain.failures import Failure
from seatrial.domain.limits import (
    PROCESSES_PER_WORKER_MAX,
    WORK_BEGINS_SECONDS_MAX,
    WORK_REMEMBERED_MAX,
    WORKER_STOP_GRACE_SECONDS,
    WORKERS_WATCHED_EVERY_MS,
)
from seatrial.domain.memory import MemoryUse
from seatrial.domain.work import (
    HandlerFailed,
    Loaded,
    LoadFailed,
    Produced,
    Withdrawn,
    Work,
    WorkerDied,
    WorkerSpec,
    WorkTimedOut,
)
from seatrial.worker import protocol

IDLE_REMEDY = "Look for a thread of the handler's that keeps the interpreter to itself, or that stopped the process."
PROCESSES_NAMED_MAX = 20
MEMORY_REMEDY = "Raise memory_bytes_max in [worker], or use a smaller model, smaller inputs or smaller batches."
PROCESSES_REMEDY = "Let the handler start fewer processes, and wait for those that it has started."
PROTOCOL_REMEDY = "Let the handler leave alone every file descriptor that it did not open itself: one is the server's."


@dataclass(slots=True)
class _Held:
    """A piece of work that the process has been given. `number` is its permit's, and names its folder."""

    token: str
    job_id: str
    number: int
    timeout_seconds: float
    answered: asyncio.Future[Produced]
    uses_folder: bool
    begun_at: float | None = None  # by the loop's clock
    timed_out: bool = False
    returned: asyncio.Event | None = None  # of work that is to stop: the handler has


@dataclass(slots=True)
class _Past:
    """Work that the handler has begun: when, since the start of the machine, and what threads it left behind."""

    began_at_ms: int
    threads: Sequence[str] = ()


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
        watchman: Watchman,
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
        self._unsent: dict[str, _Held] = {}  # their files are being written
        self._begun: dict[str, _Past] = {}
        self._running: dict[str, _Held] = {}  # by token, in the order in which they began
        self._since = 0.0  # when the last work began or ended
        self._answer_folders: dict[str, int] = {}
        self._loaded: Loaded | None = None
        self._load_failure: Failure | None = None
        self._load_ended = asyncio.Event()
        self._exited = asyncio.Event()
        self._gone = asyncio.Event()
        self._ended_by_us = False
        self._recycled: str | None = None
        self._memory_bytes = 0  # as of the last job, or of the loading
        self._fault: Failure | None = None  # why the process must go, where its exit code will not tell
        self._tasks: set[asyncio.Task[None]] = set()
        self._permits = started.permits
        self._asks = started.asks
        self._listens = False
        self._told: Callable[[str, str, bytes], None] | None = None
        self._slots = spec.program.slots if spec.program is not None else 1
        self._resized: Callable[[], None] | None = None
        self._alarm = Alarm(self._due, self._on_due)
        self._channel = Channel(started.channel, self._on_frames, self._on_malformed, self._permits.flush)
        output.attach(started.stdout, started.stderr)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)
        self._watchman = watchman
        watchman.watch(self)

    @property
    def id(self) -> str:
        """Unique on this machine, and the name of its log stream."""
        return self._id

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def recycled(self) -> str | None:
        """See `ports.model_pool.Worker.recycled`."""
        return self._recycled

    @property
    def memory_bytes_max(self) -> int | None:
        """What it and its descendants may take."""
        return self._spec.memory_bytes_max

    def is_to_be_watched(self) -> bool:
        """While it loads, and while a job takes longer than a moment; with a limit for its memory always."""
        if self._exited.is_set() or self._fault is not None:
            return False
        if not self._running:
            return self._loaded is None or self.memory_bytes_max is not None
        return self._oldest_ms() > WORKERS_WATCHED_EVERY_MS or self.memory_bytes_max is not None

    def judge(self, taken: Taken) -> None:
        """Kill it if it takes too much."""
        limit = self.memory_bytes_max
        if limit is not None and taken.memory_bytes > limit:
            message = f"the worker was killed: its processes held {taken.memory_bytes} bytes of memory, limit {limit}"
            self._kill_for(Failure(OUT_OF_MEMORY, message, self._with_stderr(MEMORY_REMEDY)))
        elif taken.processes > PROCESSES_PER_WORKER_MAX:
            message = f"the worker was killed: it had {taken.processes} processes, limit {PROCESSES_PER_WORKER_MAX}"
            self._kill_for(Failure(TOO_MANY_PROCESSES, message, self._with_stderr(PROCESSES_REMEDY)))

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
        frame = WorkFrame(work, number, self._spec.layout, self._scratch.job(number))
        answered: asyncio.Future[Produced] = self._loop.create_future()
        held = _Held(work.token, work.job_id, number, work.timeout_ms / 1_000, answered, frame.uses_folder)
        if self._exited.is_set():
            raise WorkerDied(self._death(), begun=False, by_us=self._ended_by_us)
        if frame.has_files or self._order.locked():
            await self._send_in_turn(held, frame)
        else:
            self._send(held, frame)
        return await held.answered

    async def _send_in_turn(self, held: _Held, frame: WorkFrame) -> None:
        """Write its files, while no later work overtakes it."""
        self._unsent[held.token] = held
        try:
            async with self._order:
                if frame.has_files and not held.answered.done():
                    await self._write_files(frame, held.number)
                if not held.answered.done():
                    self._send(held, frame)
                elif frame.has_files:  # taken back meanwhile, or the worker is gone with its folder
                    await (self._scratch.remove() if self._gone.is_set() else self._scratch.remove_job(held.number))
        finally:
            del self._unsent[held.token]

    def _send(self, held: _Held, frame: WorkFrame) -> None:
        if not self._held:
            self._since = self._loop.time()
            self._alarm.at(self._since + WORK_BEGINS_SECONDS_MAX)
        self._held[held.token] = held
        self._permits.give(held.number)
        self._channel.send(frame.header, frame.segments)

    def on_told(self, listener: Callable[[str, str, bytes], None]) -> None:
        """See `ports.model_pool.Worker.on_told`."""
        self._told = listener

    @property
    def slots(self) -> int:
        """See `ports.model_pool.Worker.slots`."""
        return self._slots

    def on_resized(self, listener: Callable[[], None]) -> None:
        """See `ports.model_pool.Worker.on_resized`."""
        self._resized = listener

    def running_ms(self) -> float | None:
        """See `ports.model_pool.Worker.running_ms`."""
        self._channel.drain()  # this loop may be late: what has ended meanwhile does not run
        return self._oldest_ms() if self._running else None

    def _oldest_ms(self) -> float:
        """How long the work has run that began first."""
        oldest = next(iter(self._running.values()))
        return (self._loop.time() - (oldest.begun_at or self._since)) * 1_000

    def withdraw(self) -> None:
        """See `ports.model_pool.Worker.withdraw`."""
        if self._exited.is_set():
            return
        numbers = set(self._permits.take_back())
        taken_back = {token: held for token, held in self._held.items() if held.number in numbers}
        for token, held in taken_back.items():
            del self._held[token]
            if held.uses_folder:
                self._spawn(self._scratch.remove_job(held.number))
        for held in (*taken_back.values(), *self._unsent.values()):
            if not held.answered.done():
                held.answered.set_exception(Withdrawn())

    async def _write_files(self, frame: WorkFrame, number: int) -> None:
        try:
            await asyncio.to_thread(frame.write_files)
        except OSError:
            await self._scratch.remove_job(number)  # on a full disk, what was written is part of the trouble
            raise

    def begun(self, token: str) -> bool:
        """See `ports.model_pool.Worker.begun`; of settled work the last `WORK_REMEMBERED_MAX` are known."""
        return token in self._begun

    async def is_over(self, token: str) -> bool:
        """See `ports.model_pool.Worker.is_over`."""
        past = self._begun.get(token)
        if past is None or self._exited.is_set():
            await (self._gone.wait() if past else asyncio.sleep(0))
            return True
        family = await asyncio.to_thread(self._family.members)
        left = [one for one in family if one.pid != self.pid and not one.is_dead and one.may_be_from(past.began_at_ms)]
        return not past.threads and not left

    def forget(self, token: str) -> None:
        """The outcome is settled: the files of its answer go, and what is remembered of it."""
        self._begun.pop(token, None)
        number = self._answer_folders.pop(token, None)
        if number is not None:
            self._spawn(self._scratch.remove_job(number))

    async def wait_gone(self) -> Failure:
        """See `ports.model_pool.Worker.wait_gone`."""
        await self._gone.wait()
        return self._death()

    async def end(self, token: str) -> None:
        """See `ports.model_pool.Worker.end`."""
        self.withdraw()
        held = self._held.get(token)
        if held is not None and not await self._stops_when_asked(held):
            await self.stop(WORKER_STOP_GRACE_SECONDS)

    async def _stops_when_asked(self, held: _Held) -> bool:
        if not self._listens or self._exited.is_set():
            return False
        if held.returned is None:
            held.returned = asyncio.Event()
        self._asks.ask(held.number)
        try:
            await asyncio.wait_for(held.returned.wait(), self._spec.cancel_grace_seconds)
        except TimeoutError:
            return False
        return True

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
        if self._process.poll() is not None:
            return  # its number may be somebody else's by now
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
            self._on_begun(header["token"], int(header["at_ms"]))
        elif kind == protocol.FAILED:
            self._on_failed(header)
        elif kind == protocol.TOLD:
            self._on_told(header["token"], header["what"], frame[1][0])
        elif kind == protocol.SLOTS:
            self._resize(header["slots"])
        elif kind == protocol.LISTENS:
            self._listens = True
        elif kind == protocol.LOADING:
            self._family.remember_namespace()
        elif kind == protocol.LOADED:
            self._on_loaded(header)
        elif kind == protocol.LOAD_FAILED:
            self._on_load_failed(header)
        else:
            raise protocol.Malformed(f"a frame of the unknown type {kind!r}")

    def _resize(self, slots: object) -> None:
        if type(slots) is not int or not 1 <= slots <= protocol.SLOTS_MAX:
            raise protocol.Malformed(f"slots that are not 1 to {protocol.SLOTS_MAX}: {slots!r}")
        self._slots = slots
        if self._resized is not None:
            self._resized()

    def _on_told(self, token: str, what: str, data: bytes) -> None:
        """Of work that it no longer holds it comes too late."""
        if token in self._held and self._told is not None:
            self._told(token, what, data)

    def _on_malformed(self, error: protocol.Malformed) -> None:
        message = f"the worker process broke the pipe protocol, and was killed: it sent {error}"
        self._kill_for(Failure(LINK_BROKEN, message, self._with_stderr(PROTOCOL_REMEDY)))

    def _kill_for(self, fault: Failure) -> None:
        """It must go, and its exit code would not tell why."""
        if self._fault is None:
            self._fault = fault
            self._signal_group(signal.SIGKILL)

    def _with_stderr(self, remedy: str) -> dict[str, object]:
        return {"stderr": self._output.last_lines(), "remedy": remedy}

    def _on_loaded(self, header: dict[str, Any]) -> None:
        self._memory_bytes = int(header["memory"])
        self._resize(header["slots"])
        self._loaded = Loaded(
            pid=self._process.pid,
            seconds=self._loop.time() - self._started_at,
            memory_bytes=int(header["memory"]),
            python_version=str(header["python"]),
            device=str(header["device"]),
            device_used=None if header["device_used"] is None else bool(header["device_used"]),
            device_bytes=int(header["device_memory"]),
            device_evidence=str(header["device_evidence"]),
            memory_peak_bytes=int(header["memory_peak"]),
            log=self._output.log_of_the_start(),
        )
        self._load_ended.set()

    def _on_load_failed(self, header: dict[str, Any]) -> None:
        failure = _failure(header)
        if failure.error_type == HANDLER_ERROR:
            failure = Failure(LOAD_FAILED, failure.message, failure.details)
        of_a_server = self._spec.program is not None  # what it printed is all that it says
        self._load_failure = self._while_loading(failure) if of_a_server else self._redactor.failure(failure)
        self._load_ended.set()
        self._spawn(self.stop(WORKER_STOP_GRACE_SECONDS))  # threads of the user's may keep it from leaving

    def _on_begun(self, token: str, at_ms: int) -> None:
        held = self._held_as(token)
        self._begun[token] = _Past(at_ms)
        if len(self._begun) > WORK_REMEMBERED_MAX:
            del self._begun[next(iter(self._begun))]
        self._running[token] = held
        self._since = held.begun_at = self._loop.time()
        self._alarm.at(self._since + held.timeout_seconds)

    def _due(self) -> float | None:
        """When the running work must have ended, or the next one begun."""
        self._channel.drain()  # this loop may be late
        if self._exited.is_set() or not self._held:
            return None
        return min(map(_ends_by, self._running.values()), default=self._since + WORK_BEGINS_SECONDS_MAX)

    def _on_due(self) -> None:
        if self._running:
            for held in self._running.values():
                if _ends_by(held) <= self._loop.time() and not held.timed_out:
                    held.timed_out = True
                    self._spawn(self._end_late(held))
            return
        message = f"the worker process was killed: it did not begin with its work for {WORK_BEGINS_SECONDS_MAX} s"
        self._kill_for(Failure(WORKER_STALLED, message, self._with_stderr(IDLE_REMEDY)))

    async def _end_late(self, held: _Held) -> None:
        self.withdraw()
        said = f"ran longer than {held.timeout_seconds:g} s"
        if await self._stops_when_asked(held) and await self.is_over(held.token) and not self._exited.is_set():
            held.answered.set_exception(WorkTimedOut(said, process_gone=False))
            return
        await self.stop(WORKER_STOP_GRACE_SECONDS)
        if not held.answered.done():
            held.answered.set_exception(WorkTimedOut(said))

    def _on_done(self, frame: protocol.Frame) -> None:
        token = frame[0]["token"]
        held = self._held_as(token)
        use = self._after(frame[0])
        result = produced(frame, self._scratch.job(held.number), use)
        answer_is_wanted = self._settle(token, held)
        if answer_is_wanted:
            held.answered.set_result(result)
        has_files = not all(isinstance(one, bytes) for one in (result.body, *result.parts.values()))
        if answer_is_wanted and has_files:
            self._answer_folders[token] = held.number
        elif has_files or held.uses_folder:
            self._spawn(self._scratch.remove_job(held.number))
        self._leave_if_unfit(frame[0])

    def _on_failed(self, header: dict[str, Any]) -> None:
        held = self._held_as(header["token"])
        use = self._after(header)
        failure = self._redactor.failure(self._with_own_output(_failure(header), held.job_id))
        if self._settle(header["token"], held):
            held.answered.set_exception(HandlerFailed(failure, use))
        self._spawn(self._scratch.remove_failed_job(held.number))
        self._leave_if_unfit(header)

    def _with_own_output(self, failure: Failure, job_id: str) -> Failure:
        """A package's own server seldom says in its answer why it failed; what it printed then does."""
        said = as_traceback(self._output.last_lines_of(job_id)) if self._spec.program is not None else ""
        if failure.error_type != HANDLER_ERROR or not said:
            return failure
        return Failure(failure.error_type, failure.message, {"traceback": said, **failure.details})

    def _after(self, header: dict[str, Any]) -> MemoryUse:
        """What the job has left behind, and the memory that it used."""
        past = self._begun.get(header["token"])
        if past is not None and "threads" in header:
            past.threads = [str(name) for name in header["threads"]]
            self._output.say(f"the job left threads behind, which go on in its worker: {', '.join(past.threads)}")
        if past is not None and header.get("children"):
            self._spawn(self._tell_of_processes(past))
        before, self._memory_bytes = self._memory_bytes, int(header["memory"])
        device = header.get("device_peak")
        growth_bytes = self._memory_bytes - before
        return MemoryUse(int(header["memory_peak"]), growth_bytes, None if device is None else int(device))

    async def _tell_of_processes(self, past: _Past) -> None:
        family = await asyncio.to_thread(self._family.members)
        left = [one for one in family if one.pid != self.pid and not one.is_dead and one.may_be_from(past.began_at_ms)]
        if left:
            names = ", ".join(f"{one.pid} ({one.name})" for one in left[:PROCESSES_NAMED_MAX])
            self._output.say(f"the job left processes behind, which end with its worker: {names}")

    def _leave_if_unfit(self, header: dict[str, Any]) -> None:
        if "unfit" in header and self._recycled is None:
            self._recycled = str(header["unfit"])
            self._ended_by_us = True
            self._output.say(f"the worker is replaced: {self._recycled}")
            self.withdraw()
        if self._recycled is not None and not self._running:
            self._spawn(self._see_off())

    async def _see_off(self) -> None:
        """It has ended what it had beside, and leaves by itself, unless a thread of the user's keeps it."""
        try:
            await asyncio.wait_for(self._exited.wait(), WORKER_STOP_GRACE_SECONDS)
        except TimeoutError:
            await self.stop(WORKER_STOP_GRACE_SECONDS)

    def _held_as(self, token: str) -> _Held:
        held = self._held.get(token)
        if held is None:
            raise protocol.Malformed(f"a frame about the work {token!r}, which it does not hold")
        return held

    def _settle(self, token: str, held: _Held) -> bool:
        """Let go of the work; True if someone waits for its outcome, and it is not one after its timeout."""
        del self._held[token]
        if held.returned is not None:
            held.returned.set()
        self._running.pop(token, None)
        self._since = self._loop.time()
        if self._held:
            self._alarm.at(min(map(_ends_by, self._running.values()), default=self._since + WORK_BEGINS_SECONDS_MAX))
        return not held.timed_out and not held.answered.done()

    # --- the end ---

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._channel.drain()
        self._output.drain()
        self._exited.set()
        for held in self._held.values():
            if held.returned is not None:
                held.returned.set()
        self._spawn(self._end())

    async def _end(self) -> None:
        await self._family.kill()
        await self._remove_container()
        self._family.release()
        self._output.close()
        self._report_as_lambda()
        self._alarm.cancel()
        self._watchman.forget(self)
        self._channel.close()
        self._permits.close()
        self._asks.close()
        await self._scratch.remove()
        failure = self._death()
        for held in (*self._held.values(), *self._unsent.values()):
            if held.answered.done():
                continue  # nobody waits any more
            if held.timed_out:
                held.answered.set_exception(WorkTimedOut(f"ran longer than {held.timeout_seconds:g} s"))
            else:
                died = WorkerDied(failure, begun=held.token in self._begun, by_us=self._ended_by_us)
                held.answered.set_exception(died)
        self._held.clear()
        if self._loaded is None and self._load_failure is None:
            last = self._output.last_lines()[-1:] if "exit_code" in failure.details else []
            message = ": ".join([f"{failure.message}, while it loaded", *last])
            self._load_failure = self._while_loading(Failure(LOAD_FAILED, message, failure.details))
        self._load_ended.set()
        self._gone.set()

    async def _remove_container(self) -> None:
        image = self._spec.program.image if self._spec.program is not None else None
        if image is not None:
            await asyncio.to_thread(remove_container, image, container_name(self._id))

    def _report_as_lambda(self) -> None:
        """What a function's process can write no more."""
        running = next(iter(self._running.values()), None)
        if self._spec.layout != LAMBDA or running is None or running.answered.done():
            return
        took_ms = self._oldest_ms()
        timeout_seconds = running.timeout_seconds if running.timed_out else None
        for line in lines_of_a_death(running.job_id, took_ms, timeout_seconds):
            self._output.say_of(running.job_id, line)

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


def _ends_by(held: _Held) -> float:
    """When its time is up, by the loop's clock."""
    return (held.begun_at or 0.0) + held.timeout_seconds


def _failure(header: dict[str, Any]) -> Failure:
    return Failure(str(header["error_type"]), str(header["message"]), dict(header["details"]))
