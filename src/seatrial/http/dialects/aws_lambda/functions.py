"""What a function looks like to GetFunction and ListFunctions, as far as clients and waiters read it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from seatrial.domain.endpoint import Endpoint, EndpointStatus, EndpointVersion
from seatrial.domain.limits import LAMBDA_MEMORY_MB_DEFAULT, MIB
from seatrial.http.dialects.aws_lambda import made
from seatrial.http.dialects.aws_lambda.names import LATEST
from seatrial.http.dialects.logs import FUNCTION_PREFIX

_STATES: Mapping[EndpointStatus, str] = {
    EndpointStatus.CREATING: "Pending",
    EndpointStatus.IN_SERVICE: "Active",
    EndpointStatus.UPDATING: "Active",
    EndpointStatus.ROLLING_BACK: "Active",
    EndpointStatus.FAILED: "Failed",
    EndpointStatus.DELETING: "Deleting",
}
AT_FAULT = "FunctionError"  # its trial failed
_CHANGING = frozenset({EndpointStatus.CREATING, EndpointStatus.UPDATING, EndpointStatus.ROLLING_BACK})


def configuration(endpoint: Endpoint, version: EndpointVersion, function_arn: str) -> dict[str, Any]:
    """A FunctionConfiguration; `version` is the one in service or, before there is one, the newest."""
    settings = version.settings
    limit_bytes = settings.memory_bytes_max
    return {
        "FunctionName": endpoint.name,
        "FunctionArn": function_arn,
        "Version": LATEST,
        "PackageType": "Zip",
        "CodeSha256": base64.b64encode(bytes.fromhex(version.package.sha256)).decode(),  # empty until it is stored
        "Description": "",
        "Timeout": settings.invocation_timeout_seconds,
        "MemorySize": LAMBDA_MEMORY_MB_DEFAULT if limit_bytes is None else limit_bytes // MIB,
        "LastModified": _moment(endpoint.modified_at_ms),
        "RevisionId": version.id,
        "Environment": {"Variables": dict(settings.env)},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": FUNCTION_PREFIX + endpoint.name},
        **made.described(endpoint),
        **_state(endpoint),
    }


def _state(endpoint: Endpoint) -> dict[str, str]:
    reason = endpoint.failure_reason
    said = {"State": _STATES[endpoint.status]}
    if endpoint.status is EndpointStatus.FAILED:
        return said | {"StateReason": reason or "", "StateReasonCode": AT_FAULT, "LastUpdateStatus": "Failed"}
    if endpoint.status is EndpointStatus.CREATING:
        said |= {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}
    if endpoint.status in _CHANGING:
        return said | {"LastUpdateStatus": "InProgress"}
    if reason:
        said |= {"LastUpdateStatusReason": reason, "LastUpdateStatusReasonCode": AT_FAULT}
        return said | {"LastUpdateStatus": "Failed"}
    return said | {"LastUpdateStatus": "Successful"}


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}+0000"
