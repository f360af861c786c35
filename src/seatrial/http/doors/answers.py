"""JSON answers."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response


def json_response(document: Any, status: int = 200) -> Response:
    """A JSON answer with a length, which workers insist on."""
    return Response(json.dumps(document, ensure_ascii=False), status, media_type="application/json")
