"""What doors with JSON errors share."""

import json

from starlette.requests import Request

from seatrial.domain.errors import INTERNAL_ERROR, STORE_UNAVAILABLE, Busy, NotFound
from seatrial.http.doors.answers import json_response, ours, refusal
from seatrial.ports.storage import StoreUnavailable

REQUEST = Request({"type": "http", "method": "GET", "path": "/v2/e/status/x", "headers": []})


def test_half_a_surrogate_pair_in_an_answer_arrives() -> None:
    """JSON may hold one, and UTF-8 has no bytes for it."""
    document = {"said": "\ud800", "name": "größe"}
    assert json.loads(bytes(json_response(document).body)) == document


def test_every_error_becomes_one_that_a_client_may_read() -> None:
    own = NotFound("job_not_found", "There is no such job.")
    assert ours(REQUEST, own) is own
    away = ours(REQUEST, StoreUnavailable("the disk is full"))
    assert isinstance(away, Busy)
    assert (away.error_type, "the disk is full" in away.message) == (STORE_UNAVAILABLE, True)
    defect = ours(REQUEST, KeyError("a secret"))
    assert (defect.error_type, "a secret" in defect.message) == (INTERNAL_ERROR, False)


def test_a_refusal_says_when_to_try_again_only_where_that_helps() -> None:
    assert "retry-after" in refusal({}, 503, Busy("queue_full", "It is full.")).headers
    assert "retry-after" not in refusal({}, 404, NotFound("job_not_found", "None.")).headers
