"""STS in its query protocol: form parameters in, XML out. Source: botocore's service model of 2011-06-15."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from seatrial.domain.credentials import Principal

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def caller_identity(principal: Principal) -> dict[str, str]:
    """Who calls: the owner is the account's root, a worker a role's session of its endpoint."""
    account_id = principal.owner
    if principal.endpoint is None:
        return {"Arn": f"arn:aws:iam::{account_id}:root", "UserId": account_id, "Account": account_id}
    return {
        "Arn": f"arn:aws:sts::{account_id}:assumed-role/seatrial-worker/{principal.endpoint}",
        "UserId": f"SEATRIALWORKER:{principal.endpoint}",
        "Account": account_id,
    }


def answer(operation: str, members: Mapping[str, str], request_id: str) -> bytes:
    """The body of a successful answer."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
    return (
        f'<{operation}Response xmlns="{_NAMESPACE}"><{operation}Result>{inner}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()
