"""Drive one local worker: take claims, prepare their input, run them, seal the output, finish.

The worker gets its next work before the present one ends only as far as jobs are short (see ahead.py): an hour-long
job is never claimed by a worker that is still busy. Where a job turns out long after all, what waits behind it goes
back to the queue at no cost.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import structlog

from seatrial.domain import errors
from seatrial.domain.commands import Claim, Finish, Finished, Outcome, StagedPart
from seatrial.domain.contract import Contract
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import SeatrialError
from seatrial.domain.failures import Failure
from seatrial.domain.limits import MEMORY_READINGS_MAX, WITHDRAW_AFTER_MS, WORKER_STOP_GRACE_SECONDS
from seatrial.domain.memory import MemoryUse
from seatrial.domain.work import HandlerFailed, MemoryReading, Withdrawn, Work, WorkerDied, WorkerSpec, WorkTimedOut
from seatrial.engine.affinities import Affinities
from seatrial.engine.ahead import Ahead
from seatrial.engine.directory import Deployed
from seatrial.engine.outputs import OutputSealer
from seatrial.engine.patience import Patience
from seatrial.engine.prepare import Preparer, discard_inputs
from seatrial.engine.refused_answer import keep_answer
from seatrial.engine.streams import Streams
from seatrial.engine.timeouts import HandlerLimit, handler_limit
from seatrial.ports.clock import Clock
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.job_store import StoreUnavailable
from seatrial.ports.model_pool import Worker
from seatrial.ports.work_source import SessionClosed, WorkSource

log = structlog.get_logger()

TAKE_WAIT_MS = 10_000


class Runner:
    """One worker's way through its session. `serve` returns when the worker is gone or the runner was retired."""

    def __init__(
        self,
        deployed: Deployed,
        spec: WorkerSpec,
        worker: Worker,
        source: WorkSource,
        preparer: Preparer,
        sealer: OutputSealer,
        clock: Clock,
        streams: Streams,
    ) -> None:
        self._streams = streams
        worker.on_told(self._told)
        worker.on_resized(self._look_again)
        self._deployed = deployed
        self._layout = spec.layout
        self._worker = worker
        self._scratch = spec.scratch
        self._remains = spec.remains
        self._source = source
        self._preparer = preparer
        self._sealer = sealer
        self._clock = clock
        self._session: str | None = None
        self._affinities = Affinities()
        self._held: dict[str, asyncio.Task[None]] = {}
        self._job_of: dict[str, str] = {}  # token -> job of what is held
        self._memory: list[MemoryReading] = []
        self._memory_of: dict[str, MemoryUse] = {}  # by token, once the handler has answered
        self._preparing: set[asyncio.Task[None]] = set()
        self._limits: dict[str, HandlerLimit] = {}  # token -> bound of what is held and prepared
        self._tasks: dict[str, str | None] = {}  # token -> task of what is held and prepared
        self._cancelled: set[str] = set()  # tokens whose cancel was wished
        self._alone: str | None = None  # the token of a suspect, which has the worker for itself
        self._lost: dict[str, str] = {}  # token -> job of what the worker held when it went away
        self._suspect: str | None = None
        self._answered = False
        self._death: Failure | None = None
        self._fault: Failure | None = None
        self._ended_by_us = False
        self._closing = False
        self._room = asyncio.Event()
        self._retired = asyncio.Event()
        self._ahead = Ahead()
        self._next_look: asyncio.TimerHandle | None = None

    @property
    def session(self) -> str | None:
        """The open session, if any."""
        return self._session

    @property
    def version(self) -> EndpointVersion:
        """The version that its worker holds."""
        return self._deployed.version

    @property
    def fallen(self) -> Failure | None:
        """Why the worker died by itself, or why no work could be taken for it; None when we ended it."""
        return self._death or self._fault

    @property
    def suspect(self) -> str | None:
        """The job that was alone in the worker when it went away."""
        return self._suspect

    @property
    def answered(self) -> bool:
        """True once the handler has answered a job, be it with an error."""
        return self._answered

    @property
    def worker_id(self) -> str:
        """The worker that it drives."""
        return self._worker.id

    @property
    def memory(self) -> list[MemoryReading]:
        """What the worker held in memory after each of its first MEMORY_READINGS_MAX answers."""
        return self._memory

    def runs(self, job_id: str) -> bool:
        """True while the worker's handler is at work on that job."""
        return any(job == job_id and self._worker.begun(token) for token, job in self._job_of.items())

    @property
    def busy(self) -> bool:
        """True while it holds work."""
        return bool(self._held)

    @property
    def retiring(self) -> bool:
        """True once it takes no more work."""
        return self._retired.is_set()

    def retire(self) -> None:
        """Take no more work; `serve` returns once what runs has ended."""
        self._retired.set()
        self._room.set()

    async def cancel(self, token: str) -> None:
        """The cancel of that claim was wished: returns once its work is over, or never began, and it has ended.

        Where the process has to go for it, what else the worker holds goes back to the queue at no cost.
        """
        self._cancelled.add(token)
        running = self._held.get(token)
        if running is None:  # not here yet, or just over
            await self._end_cancelled(token)
            return
        if running in self._preparing:
            running.cancel()
        else:
            self._ahead.distrust()  # nothing more until that is over: its process may have to go
            self._give_back()
            await self._worker.end(token)
        await asyncio.wait({running})

    async def _end_cancelled(self, token: str) -> None:
        """The handler has returned from it, or never began; what it left behind ends with the process."""
        if not await self._worker.is_over(token):
            await self.stop(WORKER_STOP_GRACE_SECONDS)
        await self._source.finish([Finish(token, Outcome.CANCELLED, self._clock.now_ms())])
        self._worker.forget(token)

    async def stop(self, grace_seconds: float) -> None:
        """End the worker and every process of it; what it held goes back to the queue at no cost."""
        self._ended_by_us = True
        self.retire()
        await self._worker.stop(grace_seconds)

    async def serve(self) -> None:
        """Work until the worker is gone or this was retired, then close the session."""
        self._session = await self._source.open(self.version, "process")
        gone = asyncio.create_task(self._worker.wait_gone())
        taking = asyncio.create_task(self._take_all())
        retired = asyncio.create_task(self._retired.wait())
        try:
            await asyncio.wait({gone, taking, retired}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            retired.cancel()
            await self._stop_taking(taking)
            self._closing = True
            self._give_back()
            await asyncio.gather(*self._held.values(), return_exceptions=True)
            await self._leave(gone)

    def _look_again(self) -> None:
        """The worker takes more at once than it did, or less."""
        self._room.set()

    def _told(self, token: str, what: str, data: bytes) -> None:
        job_id = self._job_of.get(token)
        if job_id is not None:
            (self._streams.chunk if what == "chunk" else self._streams.progress)(job_id, data)

    async def _stop_taking(self, taking: asyncio.Task[None]) -> None:
        """A claim that arrives while we stop must not be forgotten: closing the session hands it back."""
        taking.cancel()
        try:
            await taking
        except asyncio.CancelledError:
            pass
        except SessionClosed:  # this server's lease had lapsed: what the worker holds is with others by now
            log.warning("runner.session_gone", endpoint=self.version.endpoint_name)
            await self.stop(WORKER_STOP_GRACE_SECONDS)
        except Exception as error:  # the named edge: a defect in taking must not keep the session open
            log.exception("runner.defect", endpoint=self.version.endpoint_name)
            self._fault = Failure(errors.INTERNAL_ERROR, f"No work could be taken for the worker: {error}")

    def _give_back(self) -> None:
        """What the handler has not begun with goes back to the queue at no cost, and is not taken again at once."""
        if self._session is not None:
            self._source.cease(self._session)
        for preparing in self._preparing:
            preparing.cancel()
        self._worker.withdraw()

    def _look_later(self) -> None:
        if self._next_look is None and self._worker.slots == 1 and len(self._held) > 1:
            self._next_look = asyncio.get_running_loop().call_later(WITHDRAW_AFTER_MS / 1_000, self._look)

    def _look(self) -> None:
        """Take back what waits behind a job that turned out long: other workers may be free."""
        self._next_look = None
        if (self._worker.running_ms() or 0) >= WITHDRAW_AFTER_MS:
            self._ahead.distrust()
            self._give_back()
        self._look_later()

    async def _leave(self, gone: asyncio.Task[Failure]) -> None:
        if not gone.done() and (self._lost or self._ended_by_us):
            await gone
        by_us = self._ended_by_us or self._worker.recycled is not None
        if gone.done() and not by_us and self._death is None:
            died = gone.result()
            self._fault = Failure(died.error_type, f"While it had no work: {died.message}", died.details)
        gone.cancel()
        begun = [token for token in self._lost if self._worker.begun(token)]
        if len(begun) == 1:
            self._suspect = self._lost[begun[0]]
        if self._session is not None:
            await self._close(self._session, begun)
            self._session = None

    async def _close(self, session: str, begun: list[str]) -> None:
        try:
            await self._source.close(session, begun, self._death)
        except StoreUnavailable:
            raise  # the server stops: the next one closes it
        except Exception:  # the named edge: what it holds must go back, if need be uncharged
            log.exception("runner.defect", endpoint=self.version.endpoint_name)
            await self._source.close(session)

    async def _take_all(self) -> None:
        session = self._session
        if session is None:
            raise RuntimeError("a runner takes work only inside serve()")
        while not self._retired.is_set():
            limit, enough = self._limits_of_claims()
            if len(self._held) >= enough or self._is_cancelling() or self._worker.recycled is not None:
                self._room.clear()
                await self._room.wait()
                continue
            held = self._affinities.held
            claims = await self._source.take(session, limit - len(self._held), TAKE_WAIT_MS, held)
            if self._is_cancelling() or self._worker.recycled is not None:
                await self._source.release([claim.token for claim in claims])
                continue
            for claim in claims:
                self._affinities.ran(claim.job.affinity)
                task = asyncio.create_task(self._run(claim))
                self._held[claim.token] = task
                self._job_of[claim.token] = claim.job.id
                self._streams.begin(claim.job.id)
                if claim.job.suspect:
                    self._alone = claim.token
            self._look_later()

    def _limits_of_claims(self) -> tuple[int, int]:
        """How many claims to hold at most, and with how many to wait until some have ended."""
        if self._alone in self._held:
            return 1, 1
        slots = self._worker.slots
        if slots > 1:  # the worker is at work on all of them
            return slots, slots
        limit = self._ahead.limit()
        return limit, limit // 2 + 1

    def _is_cancelling(self) -> bool:
        """Nothing more is wanted until that is over: the process may have to go."""
        return not self._cancelled.isdisjoint(self._held)

    async def _run(self, claim: Claim) -> None:
        try:
            finish = await self._outcome(claim)
            if finish is not None:
                await self._finish(claim, finish)
        except (Withdrawn, asyncio.CancelledError):
            await self._return(claim.token)
        finally:
            del self._held[claim.token]
            del self._job_of[claim.token]
            self._memory_of.pop(claim.token, None)
            self._limits.pop(claim.token, None)
            self._tasks.pop(claim.token, None)
            self._cancelled.discard(claim.token)
            self._room.set()

    async def _return(self, token: str) -> None:
        """The handler has not begun with it, and will not."""
        if token in self._cancelled:
            await self._end_cancelled(token)
        else:
            await self._source.release([token])

    async def _finish(self, claim: Claim, finish: Finish) -> None:
        try:
            (answer,) = await self._source.finish([finish])
        except StoreUnavailable:
            raise  # the server stops: the job runs again
        except Exception as error:  # the named edge: an outcome that cannot be kept must end the job, not hang it
            log.exception("job.defect", job=claim.job.id)
            (answer,) = await self._source.finish([self._defect(claim, error)])
        if isinstance(answer, Finished):
            self._worker.forget(claim.token)
        else:  # its cancel was wished, or it is somebody else's by now
            log.info("job.stale", token=finish.token[:8], endpoint=self.version.endpoint_name)
            await self._end_cancelled(claim.token)

    async def _outcome(self, claim: Claim) -> Finish | None:
        """The decision that this attempt brings; None when the worker was lost under it."""
        try:
            parts, started_at_ms = await self._work(claim)
            memory = self._memory_of.get(claim.token)
            now_ms = self._clock.now_ms()
            task = self._tasks.get(claim.token)
            return Finish(
                claim.token, Outcome.SUCCEEDED, now_ms, parts, started_at_ms=started_at_ms, memory=memory, task=task
            )
        except HandlerFailed as failed:
            self._answered = True
            if failed.memory is not None:
                self._memory_of[claim.token] = failed.memory
            return self._failed(claim, failed.failure)
        except Withdrawn:
            raise
        except SeatrialError as error:
            self._tasks.setdefault(claim.token, error.task)
            return self._failed(claim, Failure(error.error_type, error.message, error.details))
        except WorkTimedOut as late:
            self._ended_by_us |= late.process_gone
            return self._failed(claim, _timeout(claim, self._limits[claim.token], late.process_gone))
        except WorkerDied as died:
            self._lost[claim.token] = claim.job.id
            if died.by_us:
                self._ended_by_us = True
            else:
                self._death = died.failure
            return None
        except Exception as error:  # the named edge: a defect of ours must end the job, not hang it
            log.exception("job.defect", job=claim.job.id)
            return self._defect(claim, error)

    async def _work(self, claim: Claim) -> tuple[tuple[StagedPart, ...], int]:
        contract = self._deployed.contract
        patience = Patience(self._clock, claim.job.id, claim.time_left_ms)
        has_files = True  # until it is known: what a failed preparation wrote must go too
        try:
            work = await patience.within(lambda: self._prepare(claim, contract), "its input was being fetched")
            has_files = work.has_files
            reached(CrashPoint.RUN_PREPARED)
            produced = await patience.insist(lambda: self._worker.run(work), "it was being handed to its worker")
            reached(CrashPoint.RUN_ANSWERED)
            started_at_ms = self._clock.now_ms() - int(produced.handler_ms)
            self._answered = True
            if claim.token in self._cancelled:
                raise Withdrawn
            self._ahead.ran(produced.handler_ms)
            if produced.memory is not None:
                self._memory_of[claim.token] = produced.memory
            if produced.reading is not None and len(self._memory) < MEMORY_READINGS_MAX:
                self._memory.append(produced.reading)
            sealing = partial(self._sealer.seal, claim.job, contract, produced, work.task, claim.token)
            try:
                return await patience.within(sealing, "its output was being stored"), started_at_ms
            except SeatrialError:
                if self._remains is not None:
                    await keep_answer(produced, self._remains, claim.job.id)
                raise
        finally:
            if has_files:
                await discard_inputs(claim.token, self._scratch)

    async def _prepare(self, claim: Claim, contract: Contract) -> Work:
        """What the worker needs; its time ends with the job's deadline."""
        if self._closing or claim.token in self._cancelled:
            raise asyncio.CancelledError
        task = self._held[claim.token]
        self._preparing.add(task)
        try:
            work = await self._preparer.prepare(
                claim.job, self.version, contract, self._layout, claim.token, self._scratch
            )
        except (StoreUnavailable, OSError):
            await discard_inputs(claim.token, self._scratch)  # what a next try writes anew
            raise
        finally:
            self._preparing.discard(task)
        self._tasks[claim.token] = work.task
        limit = self._limits[claim.token] = handler_limit(claim.job, self.version, contract, work.task)
        return replace(work, timeout_ms=min(limit.timeout_ms, claim.time_left_ms))

    def _failed(self, claim: Claim, failure: Failure) -> Finish:
        memory = self._memory_of.get(claim.token)
        task = self._tasks.get(claim.token)
        return Finish(claim.token, Outcome.FAILED, self._clock.now_ms(), failure=failure, memory=memory, task=task)

    def _defect(self, claim: Claim, error: Exception) -> Finish:
        return self._failed(claim, Failure(errors.INTERNAL_ERROR, f"The server failed to run the job: {error}"))


def _timeout(claim: Claim, limit: HandlerLimit, process_gone: bool) -> Failure:
    how = "it was stopped and its process is gone" if process_gone else "it was asked to stop, and did"
    if claim.time_left_ms < limit.timeout_ms:
        message = f"The job's deadline passed while the handler ran; {how}."
        return Failure(errors.DEADLINE_EXCEEDED, message)
    seconds = limit.timeout_ms / 1000
    if limit.setting is not None:
        return Failure(
            errors.INVOCATION_TIMEOUT,
            f"The handler ran longer than {limit.setting} allows ({seconds:g} s); {how}.",
            {"field": limit.setting, "remedy": f"Raise {limit.setting} in seatrial.toml, or make the job smaller."},
        )
    return Failure(
        errors.INVOCATION_TIMEOUT,
        f"The handler ran longer than {seconds:g} s; {how}.",
        {"field": "invocation_timeout", "remedy": "Ask for a longer invocation timeout, or make the job smaller."},
    )
