"""Requests under way: each in a thread of its own, from its submission to the verdict on its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from seatrial.prove.limits import (
    STRESS_ALONE_PAUSE_SECONDS,
    STRESS_AT_ONCE_MAX,
    STRESS_BUSY_SECONDS_FIRST,
    STRESS_BUSY_SECONDS_MAX,
    STRESS_CLEAN_SECONDS,
    STRESS_SLICE_SECONDS,
)
from seatrial.prove.request import Request
from seatrial.prove.stress.job import Job, Kind, Problem
from seatrial.prove.stress.variants import Variant
from seatrial.prove.targets.answer import Answer, State
from seatrial.prove.targets.target import Target, Ticket
from seatrial.prove.targets.trouble import Refused, TargetTrouble, Unknown, Unreachable

_BUSY = (409, 425, 429, 503)  # "not now": such a request is sent again
Look = Callable[[Job, Answer], None]
Addressed = Callable[[Request, str, int], Request]  # a request with its own id and callback


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for; None: as its task says."""

    seconds: float | None

    def of(self, variant: Variant) -> float:
        """In seconds."""
        return self.seconds or variant.task.timeout_seconds


class Load:
    """Sends jobs and waits for them. `look` and `ended` are called for one job at a time."""

    def __init__(
        self, target: Target, patience: Patience, addressed: Addressed, look: Look, ended: Callable[[Job], None]
    ) -> None:
        self._target = target
        self._patience = patience
        self._addressed = addressed
        self._look = look
        self._ended = ended
        self._room = threading.BoundedSemaphore(STRESS_AT_ONCE_MAX)
        self._changed = threading.Condition()
        self._judging = threading.Lock()
        self._under_way: dict[int, Job] = {}
        self._tickets: dict[str, int] = {}  # id -> the job that was given it
        self._broke: BaseException | None = None
        self.stopping = False
        self.created: list[Ticket] = []  # whose inputs are to be removed at the end

    def begin(self, job: Job, go: threading.Event | None = None) -> None:
        """Send it from a thread of its own, once `go` is set. Waits for room."""
        self._enter(job)
        threading.Thread(target=self._run, args=(job, go), name=job.name, daemon=True).start()

    def send(self, job: Job) -> None:
        """Send it now; only its answer is waited for in a thread."""
        self._enter(job)
        try:
            self._submit(job)
        except BaseException:
            self._leave(job)
            raise
        threading.Thread(target=self._run, args=(job, None), name=job.name, daemon=True).start()

    def settle(self) -> None:
        """Wait until all have ended. Raises what broke in a thread."""
        with self._changed:
            while self._under_way and self._broke is None:
                self._changed.wait(0.5)  # in slices, so that Ctrl-C comes through
        if self._broke is not None:
            raise self._broke

    def alone(self, variant: Variant) -> Answer:
        """One request while nothing else is under way. Raises TargetTrouble."""
        time.sleep(STRESS_ALONE_PAUSE_SECONDS)
        request = self._addressed(variant.request, variant.name, 0)
        ticket = self._target.submit(replace(request, webhook=None, webhook_secret=None))
        self.created.append(ticket)
        return self._wait(ticket, self._patience.of(variant))

    def stop(self) -> int:
        """Give up what is under way: cancel it where the wire can, and wait a little; how many."""
        self.stopping = True
        jobs = list(self._under_way.values())
        for job in jobs:
            job.given_up = True
        give_up = time.monotonic() + STRESS_CLEAN_SECONDS
        for job in jobs:
            if job.ticket is not None and time.monotonic() < give_up:
                try:
                    self._target.cancel(job.ticket)
                except TargetTrouble:
                    pass  # it cannot be cancelled, or has just ended
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, max(0.0, give_up - time.monotonic()))
        return len(jobs)

    # ------------------------------------------------------------ one job

    def _enter(self, job: Job) -> None:
        while not self._room.acquire(timeout=0.5):
            if self._broke is not None:
                raise self._broke
        with self._changed:
            self._under_way[job.number] = job

    def _run(self, job: Job, go: threading.Event | None) -> None:
        try:
            if go is not None:
                go.wait()
            if job.ticket is None and not job.problems:
                self._submit(job)
            answer = self._end(job)
            with self._judging:
                if answer is not None:
                    self._look(job, answer)
                self._ended(job)
        except BaseException as error:  # noqa: BLE001 - told in `settle`, in the thread that waits there
            self._broke = error
        finally:
            self._leave(job)

    def _leave(self, job: Job) -> None:
        with self._changed:
            del self._under_way[job.number]
            self._changed.notify_all()
        self._room.release()

    def _end(self, job: Job) -> Answer | None:
        """The job's answer. A wire that refuses in its answer is asked again, like one that refuses at once."""
        give_up = time.monotonic() + self._patience.of(job.variant)
        pause = STRESS_BUSY_SECONDS_FIRST
        answer = self._answer(job)
        while answer is not None and _is_busy(answer) and not self.stopping and time.monotonic() < give_up:
            job.busy += 1
            time.sleep(pause)
            pause = min(pause * 2, STRESS_BUSY_SECONDS_MAX)
            self._submit(job)
            answer = self._answer(job)
        return answer

    def _submit(self, job: Job) -> None:
        request = self._addressed(job.variant.request, job.variant.name, job.number)
        give_up = time.monotonic() + self._patience.of(job.variant)
        pause = STRESS_BUSY_SECONDS_FIRST
        while not self.stopping:
            try:
                job.ticket = self._target.submit(request)
            except Refused as refused:
                if refused.status not in _BUSY or time.monotonic() > give_up:
                    job.problems.append(Problem(Kind.REFUSED, f"refused with {refused.status}: {refused}"))
                    return
                job.busy += 1
                time.sleep(pause)
                pause = min(pause * 2, STRESS_BUSY_SECONDS_MAX)
            except TargetTrouble as trouble:
                job.problems.append(Problem(Kind.REFUSED, f"not accepted: {trouble}"))
                return
            else:
                self._accepted(job, job.ticket)
                return

    def _accepted(self, job: Job, ticket: Ticket) -> None:
        with self._changed:
            self.created.append(ticket)
            first = self._tickets.setdefault(ticket.id, job.number)
        if first != job.number:
            reason = f"was given the id of job_{first:03}, {ticket.id}: two requests, one job"
            job.problems.append(Problem(Kind.DUPLICATED, reason, by_output=False))

    def _answer(self, job: Job) -> Answer | None:
        if job.ticket is None or any(why.kind is Kind.REFUSED for why in job.problems):
            return None
        try:
            return self._wait(job.ticket, self._patience.of(job.variant))
        except Unknown as unknown:
            job.problems.append(
                Problem(Kind.LOST, f"accepted as {job.ticket.id}, and then not known any more: {unknown}")
            )
        except TargetTrouble as trouble:
            job.problems.append(Problem(Kind.LOST, f"accepted as {job.ticket.id}, and then: {trouble}"))
        return None

    def _wait(self, ticket: Ticket, seconds: float) -> Answer:
        """In slices, so that it ends when the run does. A server that does not answer for a while may come back."""
        give_up = time.monotonic() + seconds
        while True:
            left = give_up - time.monotonic()
            try:
                answer = self._target.wait(ticket, max(0.0, min(STRESS_SLICE_SECONDS, left)))
                if answer.state is not State.PENDING or self.stopping or left <= 0:
                    return answer
            except Unreachable:
                if self.stopping or left <= 0:
                    raise
                time.sleep(STRESS_BUSY_SECONDS_FIRST)


def _is_busy(answer: Answer) -> bool:
    return answer.state is State.FAILED and answer.evidence.get("status_code") in _BUSY
