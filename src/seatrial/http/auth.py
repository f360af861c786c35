"""Who calls with an API key (`Authorization: Bearer KEY`, `Authorization: KEY` or `X-API-Key: KEY`), and may they.

Doors of AWS's services learn who calls from the signature (sigv4); what a principal may do is one decision for all
of them, `domain.access.require`.
"""

from __future__ import annotations

from typing import Any

from fastapi import Depends
from starlette.requests import Request

from seatrial.domain import errors
from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import Forbidden, NotFound
from seatrial.engine.inspect import Inspector
from seatrial.engine.keyring import Keyring
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


def still_may(request: Request, keyring: Keyring, scope: KeyScope, endpoint: str) -> bool:
    """Whether who began a long answer may go on: its key may have ended, or may do less, since."""
    try:
        require(authenticate(request, keyring), scope, endpoint=endpoint)
    except (Unauthenticated, Forbidden):
        return False
    return True


def caller(request: Request) -> Principal:
    """Who calls a route that `needs` a scope."""
    principal: Principal = request.state.principal
    return principal


class Needs:
    """What a route of the native API asks of its caller: one of these scopes and, where its path has {name}, that
    endpoint in reach. An app refuses to be built with a route that does not say."""

    def __init__(self, *scopes: KeyScope) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request) -> None:
        """Raises Forbidden."""
        require(caller(request), *self.scopes, endpoint=request.path_params.get("name"))


def needs(*scopes: KeyScope) -> Any:
    """The dependency that lets nobody pass without one of the scopes."""
    return Depends(Needs(*scopes))


async def check_job(inspector: Inspector, principal: Principal, job_id: str) -> None:
    """A job of an endpoint out of reach is as unknown as one that never was. Raises NotFound."""
    if principal.endpoints is None:
        return
    job = await inspector.job(job_id)
    if not principal.reaches(job.endpoint_name):
        raise NotFound(errors.JOB_NOT_FOUND, f"There is no job {job_id!r}.")


def _presented(request: Request) -> str | None:
    authorization = request.headers.get("authorization")
    if authorization is None:
        return request.headers.get("x-api-key")
    scheme, space, rest = authorization.partition(" ")
    if not space:
        return scheme
    return rest.strip() if scheme.lower() == "bearer" else None
