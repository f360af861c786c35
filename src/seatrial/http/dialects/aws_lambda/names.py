"""Names of functions as clients give them: plain, partial ARNs, ARNs, each with or without a qualifier."""

from __future__ import annotations

from dataclasses import dataclass

LATEST = "$LATEST"


@dataclass(frozen=True, slots=True)
class FunctionName:
    """`account_id` and `qualifier` are None where the client named none."""

    name: str
    account_id: str | None = None
    qualifier: str | None = None


def read_name(given: str, qualifier: str | None) -> FunctionName:
    """Read what the service model's pattern has let through; a qualifier of its own wins over one in the name."""
    words = given.split(":")
    if words[0] == "arn":
        words = words[4:]  # arn, partition, lambda, region
    account_id = words.pop(0) if len(words) > 1 and words[0].isdigit() and len(words[0]) == 12 else None
    if words[0] == "function" and len(words) > 1:
        words.pop(0)
    return FunctionName(words[0], account_id, qualifier or (words[1] if len(words) > 1 else None))


def arn(name: str, region: str, account_id: str, qualifier: str | None = None) -> str:
    """The ARN of a function, or of a version of it."""
    plain = f"arn:aws:lambda:{region}:{account_id}:function:{name}"
    return f"{plain}:{qualifier}" if qualifier else plain
