"""Answers that doors with JSON errors share: documents, and refusals."""

from __future__ import annotations

import json
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.errors import Busy, SeatrialError
from seatrial.ports.storage import as_unavailable

log = structlog.get_logger(__name__)


def json_response(document: Any, status: int = 200) -> Response:
    """A JSON answer with a length, which workers insist on; in ASCII, as half a surrogate pair has no UTF-8."""
    return Response(json.dumps(document), status, media_type="application/json")


def refusal(document: Any, status: int, error: SeatrialError) -> Response:
    """An error in the door's own words, with the time after which to try again where that helps."""
    response = json_response(document, status)
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def ours(request: Request, error: Exception) -> SeatrialError:
    """The named edge of a door: any error as one that its client may read; a defect is logged whole."""
    if isinstance(error, SeatrialError):
        return error
    trouble = as_unavailable(error)
    if trouble is not None:
        return Busy(errors.STORE_UNAVAILABLE, f"The store is not available: {trouble}")
    log.error("http.defect", method=request.method, path=request.scope["path"][:200], exc_info=error)
    return SeatrialError(errors.INTERNAL_ERROR, "The server failed; its log says why.")
