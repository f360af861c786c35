"""Who may call. The protocol has no credentials: on loopback it is open to this machine, elsewhere a key is asked for.

A page in this machine's browser is a stranger, too: it must not reach an open port by a name that leads here (DNS
rebinding) nor by posting across origins.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from seatrial.domain.credentials import Principal
from seatrial.engine.keyring import Keyring
from seatrial.http.auth import authenticate
from seatrial.http.errors import UNAUTHENTICATED, Unauthenticated

_KEYS = ("authorization", "x-api-key")


def admit(request: Request, keyring: Keyring, *, keyless: bool) -> Principal:
    """Whose request this is. A key that is given has to be right, also where none is needed.

    Raises:
        Unauthenticated: no key where one is needed, one that nobody has, or none in a request that came by another
            name than this machine's or from another site's page.
    """
    if not keyless or any(name in request.headers for name in _KEYS):
        return authenticate(request, keyring)
    origin = request.headers.get("origin")
    if not _is_here(request.headers.get("host", "")) or (origin is not None and not _is_here(urlsplit(origin).netloc)):
        remedy = "Send the API key: Authorization: Bearer $SEATRIAL_API_KEY (seatrial env prints it)."
        message = "Without a key, requests are to localhost or 127.0.0.1, and from no other site's page."
        raise Unauthenticated(UNAUTHENTICATED, message, details={"remedy": remedy})
    return keyring.owner


def _is_here(netloc: str) -> bool:
    try:
        name = urlsplit(f"//{netloc}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
