"""STS in its query protocol: form parameters in, XML out. Source: botocore's service model of 2011-06-15."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from seatrial.domain.credentials import ROOT, Principal

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def caller_identity(principal: Principal) -> dict[str, str]:
    """Who calls: the owner is the account's root, a key a user, a worker a role's session of its endpoint."""
    account_id = principal.owner
    if principal.key_id == ROOT:
        return {"Arn": f"arn:aws:iam::{account_id}:root", "UserId": account_id, "Account": account_id}
    if principal.worker_of is None:
        user = f"arn:aws:iam::{account_id}:user/{principal.key_id}"
        return {"Arn": user, "UserId": principal.key_id, "Account": account_id}
    return {
        "Arn": f"arn:aws:sts::{account_id}:assumed-role/seatrial-worker/{principal.worker_of}",
        "UserId": f"SEATRIALWORKER:{principal.worker_of}",
        "Account": account_id,
    }


def answer(operation: str, members: Mapping[str, str], request_id: str) -> bytes:
    """The body of a successful answer."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
    return (
        f'<{operation}Response xmlns="{_NAMESPACE}"><{operation}Result>{inner}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()
