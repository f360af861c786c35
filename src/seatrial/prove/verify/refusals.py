"""Bad requests, and how they have to be answered."""

from __future__ import annotations

from typing import Any

from seatrial.prove.limits import INFERENCE_SECONDS_DEFAULT, WORDS_SHOWN_CHARS_MAX
from seatrial.prove.request import Request
from seatrial.prove.targets.answer import Failure, State
from seatrial.prove.targets.trouble import Refused
from seatrial.prove.verify.check import Line, failed, ok, warned
from seatrial.prove.verify.round import Round

REMEDY = "raise an error with words in the handler; a Seatrial contract refuses such requests by itself"


def refusal(round_: Round, check_id: str, request: Request, what: str) -> Line:
    """The line about one bad request: refused at once or by its job, as JSON with a message, and not as a crash."""
    try:
        ticket = round_.send(request)
    except Refused as refused:
        return _judged(check_id, what, refused.failure, refused.status)
    answer = round_.wait(ticket, INFERENCE_SECONDS_DEFAULT)
    if answer.state is State.SUCCEEDED:
        # Without declared tasks nobody but the handler knows what is bad: that it succeeded is only told.
        declared = any(task.name for task in round_.contract.tasks)
        line = failed if declared else warned
        return line(check_id, f"{what} succeeded", REMEDY, evidence=dict(answer.evidence))
    if answer.state is not State.FAILED or answer.failure is None:
        return failed(check_id, f"{what} ended as {answer.words}", REMEDY, evidence=dict(answer.evidence))
    return _judged(check_id, what, answer.failure, answer.evidence.get("status_code"))


def _judged(check_id: str, what: str, failure: Failure, status: object) -> Line:
    said = failure.message[:WORDS_SHOWN_CHARS_MAX]
    measured: dict[str, Any] = {"error_type": failure.error_type, "field": failure.field, "status_code": status}
    if isinstance(status, int) and status >= 500:
        return failed(check_id, f"{what} is answered with {status}: {said}", REMEDY, **measured)
    if not failure.structured and isinstance(status, int) and status >= 400:
        return warned(check_id, f"{what} is refused with {status}, in plain text: {said}", REMEDY, **measured)
    if not failure.structured:
        return failed(check_id, f"{what} is refused with words that no program can read: {said}", REMEDY, **measured)
    kind = f"{failure.error_type}: " if failure.error_type else ""
    return ok(check_id, f"{what} is refused: {kind}{said}", **measured)
