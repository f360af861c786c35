"""Uploads in parts: what was begun, what is there, what is asked for at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.domain.objects import ObjectName, PutCondition


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was begun. `whole_checksum`: over the object, else over its parts' checksums."""

    id: str
    name: ObjectName
    media_type: str
    metadata: Mapping[str, str]
    created_at_ms: int
    checksum_algorithm: str | None = None
    whole_checksum: bool = False
    completed_etag: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is there; `checksum` is of the upload's algorithm, in base64."""

    number: int
    size_bytes: int
    etag: str
    modified_at_ms: int
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedPart:
    """A part as a client names it at completion."""

    number: int
    etag: str
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a client asks for: these parts, in this order. `checksum` is what the whole object must have."""

    parts: tuple[ClaimedPart, ...]
    condition: PutCondition | None = None
    checksum: str | None = None
    size_bytes: int | None = None
