"""STS: who calls. Source: botocore's service model of 2011-06-15."""

from __future__ import annotations

from seatrial.domain.credentials import ROOT, Principal


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
