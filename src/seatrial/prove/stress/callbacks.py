"""Are callbacks and jobs matched one to one? Each job has a callback address of its own at the receiver."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from seatrial.prove.callbacks import Answered, Callback, Part, Receiver
from seatrial.prove.limits import STRESS_CALLBACK_SETTLE_SECONDS
from seatrial.prove.request import Request
from seatrial.prove.stress.job import Job, Kind, Problem
from seatrial.prove.targets.answer import State
from seatrial.prove.validate import Kind as ImageKind
from seatrial.prove.validate import validate_file

# The last word of a job on any wire; others, such as progress, are not counted.
_ENDS = {
    State.SUCCEEDED: ("succeeded", "completed", "success"),
    State.FAILED: ("failed", "error"),
    State.CANCELLED: ("cancelled", "canceled", "aborted"),
    State.TIMED_OUT: ("timed_out", "timeout", "expired"),
}
_STATE_OF = {word: state for state, words in _ENDS.items() for word in words}
_PATH = re.compile(r"/([0-9a-f]{32})/(\d+)")


@dataclass(frozen=True, slots=True)
class Tally:
    """How many callbacks were to come, how many came first, and how many came again under their delivery id."""

    expected: int
    matched: int
    told_again: int


class Callbacks:
    """Addresses for jobs, and what came to them."""

    def __init__(self, receiver: Receiver, secret: str | None) -> None:
        """`secret` is what targets are given for `X-Callback-Secret`."""
        self._receiver = receiver
        self._secret = secret
        self._run = secrets.token_hex(16)

    def addressed(self, request: Request, number: int) -> Request:
        """The request with the callback of that job."""
        url = f"{self._receiver.url}/{self._run}/{number}"
        return replace(request, webhook=url, webhook_secret=self._secret)

    def match(self, jobs: Sequence[Job], seconds: float, alone: Mapping[str, Set[str]]) -> Tally:
        """Wait for what is still to come, and write into the jobs what is wrong.

        `alone`: by variant, the digests of what it gives alone, which is no other's picture.
        """
        expected = [job for job in jobs if job.ticket is not None and job.state is not State.PENDING]
        give_up = time.monotonic() + seconds
        change = -1
        while time.monotonic() < give_up and any(not self._ends(job) for job in expected):
            change = self._receiver.inbox.wait(change, min(0.5, max(0.0, give_up - time.monotonic())))
        if expected:
            time.sleep(STRESS_CALLBACK_SETTLE_SECONDS)
        owners = {digest: job for job in expected for digest in job.digests}
        matched = sum(self._held(job, owners, alone.get(job.variant.name, frozenset())) for job in expected)
        told_again = sum(one.repeat_of is not None for one in self._of_this_run(jobs))
        return Tally(len(expected), matched, told_again)

    def _held(self, job: Job, owners: dict[str, Job], alone: Set[str]) -> bool:
        ends = self._ends(job)
        problems = list(_problems(job, ends, owners, alone))
        job.problems += problems
        return bool(ends) and not problems

    def _ends(self, job: Job) -> list[Callback]:
        """The job's last words, each delivery once."""
        return [
            one
            for one in self._to(job.number)
            if one.repeat_of is None and one.answered is not Answered.REFUSED and _is_end(one)
        ]

    def _to(self, number: int) -> list[Callback]:
        return [one for one in self._receiver.inbox.callbacks() if _address(one) == (self._run, number)]

    def _of_this_run(self, jobs: Iterable[Job]) -> list[Callback]:
        numbers = {job.number for job in jobs}
        addressed = ((one, _address(one)) for one in self._receiver.inbox.callbacks())
        return [one for one, to in addressed if to is not None and to[0] == self._run and to[1] in numbers]


def _problems(job: Job, ends: Sequence[Callback], owners: dict[str, Job], alone: Set[str]) -> Iterable[Problem]:
    if not ends:
        yield Problem(Kind.UNTOLD, "no callback came")
        return
    if len(ends) > 1:
        yield Problem(Kind.DUPLICATED, f"{len(ends)} callbacks told its end", by_output=False)
    first = ends[0]
    ticket_id = job.ticket.id if job.ticket else ""
    if first.job_id and first.job_id != ticket_id:
        yield Problem(Kind.CROSSED, f"its callback tells of job {first.job_id}, and it is {ticket_id}", by_output=False)
    state = _state(first)
    if state is not None and state is not job.state:
        yield Problem(Kind.UNTOLD, f"its callback says {state.value}, and the job has {job.state.value}")
    images = [part for part in first.parts if part.is_image]
    for part in images:
        if job.digests and part.sha256 not in job.digests | alone:
            other = owners.get(part.sha256)
            if other is not None:
                yield Problem(Kind.CROSSED, f"its callback carries the picture of {other.name}")
            else:
                yield _other_picture(part)


def _other_picture(part: Part) -> Problem:
    verdict = validate_file(part.saved_path, kind=ImageKind.IMAGE) if part.saved_path else None
    if verdict is not None and not verdict.is_valid:
        return Problem(Kind.PARTIAL, f"its callback carries a picture that is not whole: {verdict.reason}")
    return Problem(Kind.DIFFERS, f"its callback carries another picture than its result: {part.size_bytes:,} bytes")


def _state(callback: Callback) -> State | None:
    return _STATE_OF.get(callback.status.lower().removeprefix("job."))


def _is_end(callback: Callback) -> bool:
    """Whether it tells of an end: by its status, or by an output alone, as RunPod's local server does."""
    return _state(callback) is not None or (not callback.status and bool(callback.fields or callback.parts))


def _address(callback: Callback) -> tuple[str, int] | None:
    found = _PATH.fullmatch(callback.path.partition("?")[0])
    return (found[1], int(found[2])) if found else None
