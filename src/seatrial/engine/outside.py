"""Workers that pull from elsewhere: hand them claims, take their outcomes, and miss them when they fall silent.

A guest names a claim by its own id and the job's. What it says about a claim that it no longer holds is dropped. A
claim comes back to the queue when its guest says that it has nothing in progress, no longer names it, or is not heard
of for `lease_ms`; while its guest is heard of, the job's timeout bounds it. Nobody here can see its processes end.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from seatrial.domain import errors
from seatrial.domain.commands import Claim, Finish, Outcome, Stale
from seatrial.domain.errors import MALFORMED_INPUT, BadInput, Busy, SeatrialError
from seatrial.domain.failures import Failure
from seatrial.domain.limits import JSON_OUTPUT_BYTES_MAX, OUTSIDE_WORKERS_MAX
from seatrial.domain.media_types import JSON
from seatrial.domain.work import Produced
from seatrial.engine.bells import Bells
from seatrial.engine.directory import Deployed, Directory
from seatrial.engine.guest import Guest, Held, StopReason
from seatrial.engine.outputs import OutputSealer
from seatrial.engine.prepare import OUTSIDE, Preparer, discard_inputs
from seatrial.engine.streams import Streams
from seatrial.engine.timeouts import handler_limit
from seatrial.ports.clock import Clock
from seatrial.ports.storage import StoreUnavailable
from seatrial.ports.work_source import SessionClosed, WorkSource

log = structlog.get_logger()

TEND_INTERVAL_MS = 250
SILENT = Failure(
    errors.WORKER_CRASHED,
    "The outside worker that had the job is not heard of any more, or no longer has it.",
    {"remedy": "Look at the worker's own log: it ended, lost its connection, or could not post its result."},
)


@dataclass(frozen=True, slots=True)
class Handout:
    """A job as a guest gets it, for `timeout_ms`. `input` is JSON; `attributes` are the job's, hidden ones too."""

    job_id: str
    input: bytes
    attributes: dict[str, str]
    timeout_ms: int = 0


class Outside:
    """Guests by endpoint and by the id that they give themselves."""

    def __init__(
        self,
        directory: Directory,
        source: WorkSource,
        preparer: Preparer,
        sealer: OutputSealer,
        streams: Streams,
        bells: Bells,
        clock: Clock,
        scratch: Path,
        lease_ms: int,
    ) -> None:
        self._directory = directory
        self._source = source
        self._preparer = preparer
        self._sealer = sealer
        self._streams = streams
        self._bells = bells
        self._clock = clock
        self._scratch = scratch
        self._lease_ms = lease_ms
        self._guests: dict[tuple[str, str], Guest] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # ------------------------------------------------------------------ what guests ask

    async def take(self, endpoint_name: str, worker_id: str, n: int, wait_ms: int, *, idle: bool) -> list[Handout]:
        """Up to n jobs, waiting up to wait_ms for the first. `idle`: the guest says that it has nothing in progress.

        Raises:
            NotFound: no such endpoint.
            Busy: too many guests.
        """
        guest = self._heard(endpoint_name, worker_id)
        guest.turn += 1
        turn = guest.turn
        if guest.spare is not None:
            self._source.cease(guest.spare[0])  # an earlier call, whose connection is gone
        if idle:
            for held in list(guest.held.values()):
                await self._let_go(guest, held)
        guest.asking += 1
        try:
            return await self._take(guest, turn, n, wait_ms)
        finally:
            guest.asking -= 1
            guest.heard_ms = self._clock.monotonic_ms()

    async def give_back(self, endpoint_name: str, worker_id: str, job_ids: list[str]) -> None:
        """They were handed out to a connection that is gone."""
        guest = self._guests.get((endpoint_name, worker_id))
        for job_id in job_ids:
            held = guest.held.get(job_id) if guest else None
            if guest is not None and held is not None:
                await self._let_go(guest, held)

    async def succeed(self, endpoint_name: str, worker_id: str, job_id: str, output: bytes, *, streamed: bool) -> bool:
        """Publish what a handler has returned, as JSON; False: the guest does not hold the job (any more).

        Of a handler that streamed without a whole in the end, the whole is the list of its chunks.
        """
        guest, held = self._holding(endpoint_name, worker_id, job_id)
        if guest is None or held is None:
            return False
        if streamed and output == b"[]" and held.chunks:
            output = b"[" + b",".join(held.chunks) + b"]"
        produced = Produced(output, JSON)
        held.ending = True
        try:
            parts = await self._sealer.seal(held.claim.job, held.contract, produced, held.task, held.claim.token)
        except SeatrialError as error:
            return await self._end(guest, held, _failed(error))
        except (StoreUnavailable, OSError):
            held.ending = False
            raise
        now_ms = self._clock.now_ms()
        finish = Finish(held.claim.token, Outcome.SUCCEEDED, now_ms, parts, started_at_ms=held.handed_at_ms)
        return await self._finish(guest, held, finish)

    async def fail(self, endpoint_name: str, worker_id: str, job_id: str, failure: Failure) -> bool:
        """The handler has raised, or said that it failed; False: the guest does not hold the job (any more)."""
        guest, held = self._holding(endpoint_name, worker_id, job_id)
        if guest is None or held is None:
            return False
        return await self._end(guest, held, failure)

    def chunk(self, endpoint_name: str, worker_id: str, job_id: str, chunk: bytes) -> None:
        """The handler has yielded it (JSON)."""
        _, held = self._holding(endpoint_name, worker_id, job_id)
        if held is not None and held.chunk_bytes + len(chunk) <= JSON_OUTPUT_BYTES_MAX:
            held.chunks.append(chunk)
            held.chunk_bytes += len(chunk)
            self._streams.chunk(job_id, chunk)

    def progress(self, endpoint_name: str, worker_id: str, job_id: str, told: bytes) -> None:
        """How far the handler is; what comes after the end is dropped."""
        _, held = self._holding(endpoint_name, worker_id, job_id)
        if held is not None:
            self._streams.progress(job_id, told)

    async def ping(self, endpoint_name: str, worker_id: str, job_ids: list[str], unhealthy: str | None) -> None:
        """The guest lives, and is at work on these jobs. Raises NotFound, Busy."""
        guest = self._heard(endpoint_name, worker_id)
        guest.pings = True
        guest.unhealthy = unhealthy
        if unhealthy:
            log.warning("outside.unhealthy", endpoint=endpoint_name, worker=worker_id, reason=unhealthy)
        for job_id, held in list(guest.held.items()):
            if job_id in job_ids:
                held.seen = True
            elif held.seen:
                await self._let_go(guest, held)

    async def stops(self, endpoint_name: str, worker_id: str, wait_ms: int) -> list[str]:
        """Jobs that the guest is to stop with, each told once; waits up to wait_ms for one. Raises NotFound, Busy."""
        guest = self._heard(endpoint_name, worker_id)
        give_up_ms = self._clock.monotonic_ms() + wait_ms
        while True:
            heard = self._bells.heard(guest.bell)
            told = [job_id for job_id, held in guest.held.items() if held.stop and not held.stop_told]
            left_ms = give_up_ms - self._clock.monotonic_ms()
            if told or left_ms <= 0 or self._closed:
                break
            await self._bells.wait(guest.bell, heard, left_ms / 1000)
        for job_id in told:
            guest.held[job_id].stop_told = True
        guest.heard_ms = self._clock.monotonic_ms()
        return told

    # ------------------------------------------------------------------ what the server asks

    def workers(self, endpoint_name: str) -> dict[str, int]:
        """Guests of an endpoint that are heard of: how many are idle, running and unhealthy."""
        since_ms = self._clock.monotonic_ms() - self._lease_ms
        here = [one for one in self._guests.values() if one.endpoint_name == endpoint_name and one.heard_ms >= since_ms]
        unhealthy = sum(1 for one in here if one.unhealthy)
        running = sum(1 for one in here if one.held and not one.unhealthy)
        return {"idle": len(here) - running - unhealthy, "running": running, "unhealthy": unhealthy}

    async def cancel(self, session: str, token: str) -> bool:
        """Have the guest that holds the claim stop with it; returns once the job has ended. False: no guest does."""
        for guest in self._guests.values():
            for held in guest.held.values():
                if held.session == session and held.claim.token == token:
                    self._ask_to_stop(guest, held, StopReason.CANCEL)
                    await held.over.wait()
                    return True
        return False

    async def end_session(self, session: str) -> bool:
        """Give up the claim of that session; False: it is no guest's."""
        for guest in list(self._guests.values()):
            for held in list(guest.held.values()):
                if held.session == session:
                    await self._lose(guest, held)
                    return True
        return False

    async def dismiss(self, endpoint_name: str) -> None:
        """The endpoint goes: whatever its guests hold goes back to the queue."""
        for key, guest in list(self._guests.items()):
            if guest.endpoint_name == endpoint_name:
                await self._forget(key, guest)

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            await self._clock.sleep_ms(TEND_INTERVAL_MS)
            try:
                await self.tend()
            except StoreUnavailable as error:
                log.warning("outside.store_unavailable", error=str(error))
            except Exception:  # the named edge: a defect in one round must not end deadlines for good
                log.exception("outside.defect")

    async def tend(self) -> None:
        """Ask guests to stop with what ran too long, and give up what does not stop, or whose guest is silent."""
        now_ms = self._clock.monotonic_ms()
        for key, guest in list(self._guests.items()):
            silent = now_ms - guest.heard_ms > self._lease_ms
            for held in list(guest.held.values()):
                if held.ending:
                    continue
                if held.stop is None and now_ms - held.handed_ms > held.timeout_ms:
                    self._ask_to_stop(guest, held, StopReason.TIMEOUT)
                elif held.stop is not None and now_ms - held.stop_ms > self._grace_ms(held):
                    await self._stopped(guest, held, confirmed=False)
                elif silent and guest.pings:
                    await self._lose(guest, held)
            if silent and not guest.held and not guest.asking:
                await self._forget(key, guest)

    def close(self) -> None:
        """The server stops: whoever waits is answered."""
        self._closed = True
        for guest in self._guests.values():
            guest.turn += 1
            if guest.spare is not None:
                self._source.cease(guest.spare[0])
        self._bells.ring_all()

    # ------------------------------------------------------------------ inside

    def _heard(self, endpoint_name: str, worker_id: str) -> Guest:
        self._directory.endpoint(endpoint_name)
        now_ms = self._clock.monotonic_ms()
        guest = self._guests.get((endpoint_name, worker_id))
        if guest is None:
            if len(self._guests) >= OUTSIDE_WORKERS_MAX:
                raise Busy(errors.QUEUE_FULL, f"{OUTSIDE_WORKERS_MAX} outside workers are all that are served.")
            guest = self._guests[endpoint_name, worker_id] = Guest(endpoint_name, worker_id, now_ms)
        guest.heard_ms = now_ms
        return guest

    def _holding(self, endpoint_name: str, worker_id: str, job_id: str) -> tuple[Guest | None, Held | None]:
        guest = self._guests.get((endpoint_name, worker_id))
        held = guest.held.get(job_id) if guest else None
        if guest is not None:
            guest.heard_ms = self._clock.monotonic_ms()
        if held is None or held.ending:
            log.info("outside.stale", endpoint=endpoint_name, worker=worker_id, job=job_id)
            return None, None
        return guest, held

    async def _take(self, guest: Guest, turn: int, n: int, wait_ms: int) -> list[Handout]:
        handouts: list[Handout] = []
        while len(handouts) < n:
            claim = await self._claim(guest, turn, 0 if handouts else wait_ms)
            if claim is None:
                break
            handout = await self._hand_out(guest, *claim)
            if handout is not None:
                handouts.append(handout)
            elif not handouts:
                break  # its input was at fault: the guest asks again
        return handouts

    async def _claim(self, guest: Guest, turn: int, wait_ms: int) -> tuple[Claim, str, Deployed] | None:
        """A claim with the session that it is alone in."""
        deployed = await self._served(guest, turn, wait_ms)
        if deployed is None:
            return None
        try:
            session = await self._session(guest, deployed)
            claims = await self._source.take(session, 1, wait_ms)
        except SessionClosed:  # its endpoint was deleted meanwhile, or this server's lease had lapsed
            guest.spare = None
            return None
        guest.heard_ms = self._clock.monotonic_ms()
        if not claims:
            return None
        if turn != guest.turn or self._closed:  # nobody reads the answer of this call any more
            await self._source.release([claims[0].token])
            return None
        guest.spare = None
        return claims[0], session, deployed

    async def _served(self, guest: Guest, turn: int, wait_ms: int) -> Deployed | None:
        """The version in service; None: none is, even after the wait."""
        heard = self._bells.heard(guest.endpoint_name)
        active = self._directory.endpoint(guest.endpoint_name).active_version
        if active is None and wait_ms > 0:
            await self._bells.wait(guest.endpoint_name, heard, wait_ms / 1000)
            if turn != guest.turn or not self._directory.has(guest.endpoint_name):
                return None
            active = self._directory.endpoint(guest.endpoint_name).active_version
        return None if active is None else self._directory.version(active)

    async def _session(self, guest: Guest, deployed: Deployed) -> str:
        if guest.spare is not None and guest.spare[1] != deployed.version.id:
            session, guest.spare = guest.spare[0], None
            await self._source.close(session)
        if guest.spare is None:
            guest.spare = await self._source.open(deployed.version, "outside"), deployed.version.id
        return guest.spare[0]

    async def _hand_out(self, guest: Guest, claim: Claim, session: str, deployed: Deployed) -> Handout | None:
        version, contract = deployed.version, deployed.contract
        now_ms = self._clock.monotonic_ms()
        limit = handler_limit(claim.job, version, contract, claim.job.task)
        timeout_ms = min(limit.timeout_ms, claim.time_left_ms)
        at_ms = self._clock.now_ms()
        held = Held(claim, session, contract, claim.job.task, limit, timeout_ms, now_ms, at_ms)
        guest.held[claim.job.id] = held
        self._streams.begin(claim.job.id)
        try:
            work = await self._preparer.prepare(claim.job, version, contract, OUTSIDE, claim.token, self._scratch)
            body = work.body if isinstance(work.body, bytes) else await asyncio.to_thread(work.body.read_bytes)
            await asyncio.to_thread(_check_json, body, work.media_type)
        except SeatrialError as error:
            held.task = held.task or error.task
            await self._end(guest, held, _failed(error))
            return None
        except BaseException:
            await self._let_go(guest, held)
            raise
        finally:
            await discard_inputs(claim.token, self._scratch)
        held.task = work.task
        held.limit = handler_limit(claim.job, version, contract, work.task)
        held.timeout_ms = min(held.limit.timeout_ms, claim.time_left_ms)
        return Handout(claim.job.id, body, dict(work.attributes), held.timeout_ms)

    async def _end(self, guest: Guest, held: Held, failure: Failure) -> bool:
        held.ending = True
        finish = Finish(held.claim.token, Outcome.FAILED, self._clock.now_ms(), failure=failure)
        return await self._finish(guest, held, replace(finish, started_at_ms=held.handed_at_ms))

    async def _finish(self, guest: Guest, held: Held, finish: Finish) -> bool:
        """Commit; durable when this returns. A stale token, or a cancel that was wished before, publishes nothing."""
        held.ending = True
        (answer,) = await self._source.finish([replace(finish, task=held.task)])
        if isinstance(answer, Stale):
            cancelled = Finish(held.claim.token, Outcome.CANCELLED, self._clock.now_ms())
            await self._source.finish([cancelled])
        self._drop(guest, held)
        if guest.spare is None and not self._closed:
            guest.spare = held.session, held.claim.job.taken_by or ""
        else:
            await self._source.close(held.session)
        return not isinstance(answer, Stale)

    def _drop(self, guest: Guest, held: Held) -> None:
        if guest.held.get(held.claim.job.id) is held:
            del guest.held[held.claim.job.id]
        held.over.set()

    async def _let_go(self, guest: Guest, held: Held) -> None:
        """The guest says, in one way or another, that it does not have the claim."""
        if held.ending:
            return
        if held.stop is not None:
            await self._stopped(guest, held, confirmed=True)
        elif held.seen:
            await self._close(guest, held, SILENT, presumed=False)
        else:  # it never began
            held.ending = True
            await self._source.release([held.claim.token])
            self._drop(guest, held)
            await self._source.close(held.session)

    async def _lose(self, guest: Guest, held: Held) -> None:
        """The guest is not heard of: it may still be at work, unseen."""
        if held.stop is not None:
            await self._stopped(guest, held, confirmed=False)
        elif held.seen:
            await self._close(guest, held, SILENT, presumed=True)
        else:
            await self._let_go(guest, held)

    async def _stopped(self, guest: Guest, held: Held, *, confirmed: bool) -> None:
        """What it was asked to stop with is over, or counts as over."""
        if held.stop is StopReason.TIMEOUT:
            await self._end(guest, held, _timeout(held, confirmed))
        else:
            await self._close(guest, held, None, presumed=not confirmed)

    async def _close(self, guest: Guest, held: Held, death: Failure | None, *, presumed: bool) -> None:
        """The claim ends with its session: cancelled where that was wished, else back to the queue, charged."""
        held.ending = True
        await self._source.close(held.session, [held.claim.token], death, presumed=presumed)
        self._drop(guest, held)

    def _ask_to_stop(self, guest: Guest, held: Held, reason: StopReason) -> None:
        if held.stop is None:
            held.stop, held.stop_ms = reason, self._clock.monotonic_ms()
            self._bells.ring(guest.bell)
        elif reason is StopReason.CANCEL:
            held.stop = reason

    def _grace_ms(self, held: Held) -> int:
        version = held.claim.job.taken_by
        seconds = self._directory.version(version).version.settings.cancel_grace_seconds if version else 0
        return seconds * 1000

    async def _forget(self, key: tuple[str, str], guest: Guest) -> None:
        guest.turn += 1
        self._guests.pop(key, None)
        for held in list(guest.held.values()):
            await self._close(guest, held, None, presumed=True)
        if guest.spare is not None:
            session, guest.spare = guest.spare[0], None
            self._source.cease(session)
            await self._source.close(session)
        self._bells.forget(guest.bell)


def _failed(error: SeatrialError) -> Failure:
    return Failure(error.error_type, error.message, error.details)


def _timeout(held: Held, confirmed: bool) -> Failure:
    how = "it was asked to stop, and did" if confirmed else "it was asked to stop; whether it did is not known"
    if held.claim.time_left_ms <= held.limit.timeout_ms:
        return Failure(errors.DEADLINE_EXCEEDED, f"The job's deadline passed while the handler ran; {how}.")
    seconds = held.timeout_ms / 1000
    return Failure(errors.INVOCATION_TIMEOUT, f"The handler ran longer than {seconds:g} s; {how}.")


def _check_json(body: bytes, media_type: str) -> None:
    try:
        json.loads(body)
    except ValueError as error:
        raise BadInput(MALFORMED_INPUT, f"The body ({media_type}) is no JSON: {error}", valid="JSON") from None
