"""The one decision on who may do what: every door asks it before it acts.

A principal's key has scopes and a reach: the endpoints and the buckets that it may touch. What it lacks is said with
the remedy. The decision goes by names alone, never by what is there, so that a refusal tells nothing.
"""

from __future__ import annotations

from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import MISSING_SCOPE, OUT_OF_REACH, Forbidden


def require(principal: Principal, *scopes: KeyScope, endpoint: str | None = None, bucket: str | None = None) -> None:
    """Let pass who has one of the scopes, and reaches the endpoint and the bucket where they are named.

    Raises:
        Forbidden: missing_scope or out_of_reach.
    """
    if KeyScope.ADMIN in principal.scopes:
        return
    if principal.scopes.isdisjoint(scopes):
        raise _missing(principal, scopes)
    if endpoint is not None and not principal.reaches(endpoint):
        raise outside(principal, "endpoint", endpoint)
    if bucket is not None and not principal.reaches_bucket(bucket):
        raise outside(principal, "bucket", bucket)


def _missing(principal: Principal, scopes: tuple[KeyScope, ...]) -> Forbidden:
    wanted = " or ".join(scopes)
    has = ", ".join(sorted(principal.scopes))
    return Forbidden(
        MISSING_SCOPE,
        f"This needs a key with the scope {wanted}; {principal.said} has {has}.",
        details={"scope": wanted, "remedy": f"Ask an admin for a key: seatrial keys create --scope {scopes[0]} …"},
    )


def outside(principal: Principal, kind: str, name: str) -> Forbidden:
    """The refusal of an endpoint or a bucket that is not in reach."""
    return Forbidden(
        OUT_OF_REACH,
        f"{principal.said} does not reach the {kind} {name[:200]!r}.",
        details={kind: name[:200], "remedy": f"Ask an admin for a key: seatrial keys create --{kind} {name[:200]} …"},
    )
