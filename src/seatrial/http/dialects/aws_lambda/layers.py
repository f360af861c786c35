"""Layers: their names, and what PublishLayerVersion and its like tell of a version."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.aws_lambda import refusals

_ARN = re.compile(
    r"arn:aws:lambda:[a-z0-9-]+:(?P<account>\d{12}):layer:(?P<name>[a-zA-Z0-9_-]{1,140}):(?P<number>\d{1,9})"
)
_NAME = re.compile(r"(arn:aws:lambda:[a-z0-9-]+:\d{12}:layer:)?(?P<name>[a-zA-Z0-9_-]{1,140})")


@dataclass(frozen=True, slots=True)
class LayerVersion:
    """One version of a layer. `told` is what its publisher said: Description, CompatibleRuntimes, LicenseInfo."""

    name: str
    number: int
    size_bytes: int
    sha256: str
    created_at_ms: int
    told: Mapping[str, Any]


def read_name(given: str) -> str:
    """The name of a layer that is given plainly or by its ARN. Raises AwsError."""
    found = _NAME.fullmatch(given)
    if found is None:
        raise refusals.invalid(f"{given[:200]!r} is no name of a layer. Valid: letters, digits, '_' and '-'.")
    return found["name"]


def read_version(arn: str, account_id: str) -> tuple[str, int]:
    """The layer and the number that a version's ARN means. Raises AwsError."""
    found = _ARN.fullmatch(arn)
    if found is None or found["account"] != account_id:
        raise missing(arn)
    return found["name"], int(found["number"])


def missing(what: str) -> AwsError:
    """There is no such version."""
    return refusals.invalid(f"Layer version {what} does not exist.")


def arn_of(name: str, region: str, account_id: str) -> str:
    """The ARN of a layer."""
    return f"arn:aws:lambda:{region}:{account_id}:layer:{name}"


def described(version: LayerVersion, layer_arn: str, location: str | None = None) -> dict[str, Any]:
    """A version; with its content where that was asked for."""
    moment = datetime.fromtimestamp(version.created_at_ms / 1000, UTC)
    document = {
        **version.told,
        "LayerVersionArn": f"{layer_arn}:{version.number}",
        "Version": version.number,
        "CreatedDate": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{version.created_at_ms % 1000:03d}+0000",
    }
    if location is None:
        return document
    digest = base64.b64encode(bytes.fromhex(version.sha256)).decode()
    content = {"Location": location, "CodeSha256": digest, "CodeSize": version.size_bytes}
    return {**document, "LayerArn": layer_arn, "Content": content}
