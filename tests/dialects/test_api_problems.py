"""Every error of the native API is one shape; a defect says nothing of its inside."""

from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from seatrial.adapters.system.clock import SystemClock
from seatrial.domain import errors
from seatrial.domain.credentials import Credentials
from seatrial.domain.errors import BadInput, Busy, Conflict, Forbidden, NotFound, SeatrialError, Unproven
from seatrial.engine.keyring import Keyring
from seatrial.http.api.results import failure_status
from seatrial.http.auth import authenticate
from seatrial.http.errors import Problem, Unauthenticated, handle_errors
from seatrial.ports.job_store import StoreUnavailable

KEYRING = Keyring(Credentials("STAAAAAAAAAAAAAAAAAA", "secret", "st_right"), SystemClock())


async def answer(error: Exception) -> httpx.Response:
    app = FastAPI()

    async def fails() -> None:
        raise error

    app.add_api_route("/fails", fails)
    handle_errors(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/fails")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput(errors.UNKNOWN_TASK, "no"), 422),
        (BadInput(errors.MALFORMED_INPUT, "no"), 400),
        (BadInput(errors.PAYLOAD_TOO_LARGE, "no"), 413),
        (BadInput(errors.UNSUPPORTED_MEDIA_TYPE, "no"), 415),
        (NotFound(errors.JOB_NOT_FOUND, "no"), 404),
        (Conflict(errors.IDEMPOTENCY_CONFLICT, "no"), 409),
        (Busy(errors.QUEUE_FULL, "no"), 429),
        (Busy(errors.ENDPOINT_NOT_IN_SERVICE, "no"), 503),
        (Forbidden("forbidden", "no"), 403),
        (Unproven("inspect", "no"), 422),
        (Unauthenticated("unauthenticated", "no"), 401),
        (StoreUnavailable("away"), 503),
    ],
)
async def test_each_error_has_its_status_and_the_one_shape(error: Exception, status: int) -> None:
    got = await answer(error)
    assert got.status_code == status
    assert got.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(got.json())
    assert problem.status == status
    assert problem.type == f"urn:seatrial:error:{problem.error_type}"
    assert problem.instance == "/fails"
    assert ("retry-after" in got.headers) == (status in (429, 503))
    assert ("www-authenticate" in got.headers) == (status == 401)


async def test_the_field_and_what_is_valid_are_members() -> None:
    got = await answer(BadInput(errors.INVALID_FIELD, "no", field="top", valid="1 to 9", details={"remedy": "less"}))
    assert (got.json()["field"], got.json()["valid"], got.json()["remedy"]) == ("top", "1 to 9", "less")


async def test_details_cannot_hide_what_every_problem_has() -> None:
    got = await answer(Conflict("x", "no", details={"status": "error", "detail": "other"}))
    assert (got.json()["status"], got.json()["detail"]) == (409, "no")


async def test_a_defect_is_logged_whole_and_answered_with_its_id_alone() -> None:
    with structlog.testing.capture_logs() as logged:
        got = await answer(RuntimeError("the password is swordfish"))
    assert got.status_code == 500
    assert "swordfish" not in got.text
    (line,) = [one for one in logged if one["event"] == "http.defect"]
    assert line["id"] == got.json()["id"]
    assert str(line["exc_info"]) == "the password is swordfish"


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ({"Authorization": "Bearer st_right"}, "000000000000"),
        ({"Authorization": "bearer st_right"}, "000000000000"),
        ({"Authorization": "st_right"}, "000000000000"),
        ({"X-API-Key": "st_right"}, "000000000000"),
        ({"Authorization": "Bearer st_wrong"}, None),
        ({"Authorization": "Basic st_right"}, None),
        ({"Authorization": "Bearer st_wrong", "X-API-Key": "st_right"}, None),
        ({"X-API-Key": "schlüssel"}, None),
        ({"Authorization": ""}, None),
        ({}, None),
    ],
)
def test_keys_come_in_three_forms(headers: dict[str, str], who: str | None) -> None:
    from starlette.requests import Request

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "headers": raw})
    if who is None:
        with pytest.raises(Unauthenticated) as refused:
            authenticate(request, KEYRING)
        assert "seatrial env" in refused.value.details["remedy"]
    else:
        assert authenticate(request, KEYRING).owner == who


@pytest.mark.parametrize(
    ("error_type", "status"),
    [
        (errors.MISSING_FIELD, 422),
        (errors.INPUT_CHANGED, 422),
        (errors.INVOCATION_TIMEOUT, 504),
        (errors.QUEUE_TTL_EXPIRED, 504),
        (errors.CANCELLED, 409),
        (errors.ENDPOINT_DELETED, 409),
        (errors.HANDLER_ERROR, 500),
        ("a_word_of_the_handlers", 500),
    ],
)
def test_a_failed_job_has_a_fitting_status(error_type: str, status: int) -> None:
    assert failure_status(error_type) == status


def test_every_kind_of_error_of_ours_has_a_status() -> None:
    from seatrial.http.errors import status_of

    kinds: list[type[Any]] = SeatrialError.__subclasses__()
    assert {BadInput, NotFound, Conflict, Busy, Forbidden, Unproven} <= set(kinds)
    assert 500 not in {status_of(kind("word", "text")) for kind in kinds if kind.__module__.startswith("seatrial")}


async def test_an_upload_that_breaks_off_is_no_defect() -> None:
    from starlette.requests import ClientDisconnect

    with structlog.testing.capture_logs() as logged:
        await answer(ClientDisconnect())
    assert logged == []
