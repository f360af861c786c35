"""The one decision on who may do what: every door asks it before it acts.

A principal's key has scopes and a reach: the endpoints and the buckets that it may touch. What it lacks is said with
the remedy. The decision goes by names alone, never by what is there, so that a refusal tells nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from seatrial.domain.credentials import EVERYTHING, KeyScope, Principal, Reach
from seatrial.domain.errors import MISSING_SCOPE, OUT_OF_REACH, Forbidden
from seatrial.domain.home import Home, is_own
from seatrial.domain.objects import ObjectName

_NAMED_MAX = 10  # scopes, endpoints or buckets that a remedy spells out


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


def outside(principal: Principal, kind: str, name: str) -> Forbidden:
    """The refusal of an endpoint or a bucket that is not in reach."""
    had = principal.endpoints if kind == "endpoint" else principal.buckets
    return Forbidden(
        OUT_OF_REACH,
        f"{principal.said} does not reach the {kind} {name[:200]!r}.",
        details={kind: name[:200], **_change(principal, kind, had or (), name[:200])},
    )


def _missing(principal: Principal, scopes: tuple[KeyScope, ...]) -> Forbidden:
    wanted = " or ".join(scopes)
    has = ", ".join(sorted(principal.scopes))
    return Forbidden(
        MISSING_SCOPE,
        f"This needs the scope {wanted}; {principal.said} has {has}.",
        details={"scope": wanted, **_change(principal, "scope", principal.scopes, scopes[0])},
    )


def _change(principal: Principal, option: str, had: Collection[str], wanted: str) -> dict[str, str]:
    """What an admin does about it; a worker's own credentials cannot be changed."""
    if principal.worker_of is not None:
        return {"remedy": "Give the handler a key of its own, as a secret of its endpoint."}
    kept = sorted(had) if len(had) <= _NAMED_MAX else ["…"]
    options = " ".join(f"--{option} {one}" for one in [*kept, wanted])
    return {"remedy": f"An admin allows it: seatrial keys change {principal.key_id} {options}"}


def reaches_object(reach: Reach, name: ObjectName, home: Home | None) -> bool:
    """Whether an object, or all whose keys begin so, are in reach.

    Of the server's own buckets, who reaches some endpoints only reaches their part, whose keys begin with `NAME/`.
    `home` is where those buckets lie in an S3 service.
    """
    if reach.whole:
        return True
    if home is not None and _may_hold(name, home):
        return False
    name = name if home is None else home.own(name)
    if not is_own(name.bucket):
        return reach.buckets is None or name.bucket in reach.buckets
    if reach.endpoints is None or (reach.buckets is not None and name.bucket in reach.buckets):
        return True
    place, slash, _ = name.key.partition("/")
    return bool(slash) and place in reach.endpoints


def _may_hold(name: ObjectName, home: Home) -> bool:
    """True for what lies in the home and is not plainly below one of the server's own buckets there."""
    in_home = name.bucket == home.bucket and (name.key.startswith(home.prefix) or home.prefix.startswith(name.key))
    return in_home and home.own(name) == name


def outside_object(reach: Reach, name: ObjectName) -> Forbidden:
    """The refusal of an object, or of all whose keys begin so."""
    message = f"key {reach.key_id!r} does not reach {name.uri}"
    if is_own(name.bucket) and reach.endpoints:
        places = ", ".join(f"{one}/" for one in sorted(reach.endpoints)[:_NAMED_MAX])
        message = f"{message}: of {name.bucket}, it reaches what begins with {places}"
    buckets = " ".join(f"--bucket {one}" for one in (*sorted(reach.buckets or ()), name.bucket))
    remedy = f"An admin allows it: seatrial keys change {reach.key_id} {buckets}"
    return Forbidden(OUT_OF_REACH, f"{message}.", details={"bucket": name.bucket, "remedy": remedy})


def reach_document(reach: Reach) -> str:
    """A reach as a text, to be kept with what was asked by it."""
    return json.dumps(
        [reach.key_id, *(None if one is None else sorted(one) for one in (reach.endpoints, reach.buckets))]
    )


def read_reach(document: str | None) -> Reach:
    """The other way; nothing kept: everything."""
    if document is None:
        return EVERYTHING
    key_id, *lists = json.loads(document)
    endpoints, buckets = (None if one is None else frozenset(one) for one in lists)
    return Reach(key_id, endpoints, buckets)
