"""A request whose AWS signature holds, as it is handed to the door of its service."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from seatrial.domain.credentials import Principal
from seatrial.http.sigv4 import ChunkSigner


@dataclass(frozen=True, slots=True)
class AwsRequest:
    """Verified; `service` and `region` are those of the credential scope ("sagemaker" covers its runtime too).

    For services other than "s3" the body has been read, bounded and verified, and is in `body`. For "s3" it is
    still to be streamed from `request`, and `payload_sha256` is what the client signed of it: a hex hash (to be
    compared with what arrives), UNSIGNED-PAYLOAD, STREAMING-…, or None for a presigned URL. `chunks` is set
    when the body comes in signed chunks, and computes what each chunk's signature must be.
    """

    request: Request
    service: str
    region: str
    principal: Principal
    request_id: str
    body: bytes
    payload_sha256: str | None
    chunks: ChunkSigner | None = None
