"""Who calls the native API: `Authorization: Bearer KEY`, `Authorization: KEY` or `X-API-Key: KEY`."""

from __future__ import annotations

from starlette.requests import Request

from seatrial.domain.credentials import Keyring, Principal
from seatrial.http.errors import UNAUTHENTICATED, Unauthenticated

_REMEDY = 'eval "$(seatrial env --data DIR)" sets SEATRIAL_API_KEY; send it as Authorization: Bearer $SEATRIAL_API_KEY'


def authenticate(request: Request, keyring: Keyring) -> Principal:
    """Whose request this is; keys are compared in constant time.

    Raises:
        Unauthenticated: no key, or one that nobody has.
    """
    key = _presented(request)
    if key is None:
        raise Unauthenticated(UNAUTHENTICATED, "This request has no API key.", details={"remedy": _REMEDY})
    principal = keyring.by_api_key(key)
    if principal is None:
        raise Unauthenticated(UNAUTHENTICATED, "This API key is not known here.", details={"remedy": _REMEDY})
    return principal


def _presented(request: Request) -> str | None:
    authorization = request.headers.get("authorization")
    if authorization is None:
        return request.headers.get("x-api-key")
    scheme, space, rest = authorization.partition(" ")
    if not space:
        return scheme
    return rest.strip() if scheme.lower() == "bearer" else None
