"""`/docs`: the OpenAPI document for people, in one page without any foreign asset."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

# Only what the page itself carries may run or load.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


async def docs_page(request: Request) -> Response:
    """The page; it reads /v1/openapi.json in the browser."""
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(_page(), 200, headers)


@cache
def _page() -> str:
    return files("seatrial.http.api").joinpath("docs.html").read_text(encoding="utf-8")
