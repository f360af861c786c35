"""What is kept beside an object's bytes, in S3's parameters and metadata.

Ours are `seatrial-sha256` (of the bytes), `seatrial-upload` (the staging key it was copied from, by which a repeated
publication knows its own object) and `seatrial-kept-*` (what else is to be told of it, such as a client's checksum).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from seatrial.domain.objects import ObjectInfo, ObjectName, Sealed

SHA256 = "seatrial-sha256"
UPLOAD = "seatrial-upload"
_META = "x-amz-meta-"
_KEPT = "seatrial-kept-"
_PARAMETERS = {  # header -> botocore's parameter
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "expires": "Expires",
}
_MEDIA_TYPE = "binary/octet-stream"  # S3's, where none was said


def parameters(media_type: str, metadata: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, Any]:
    """Of a PutObject, CopyObject or CreateMultipartUpload."""
    kept = dict(ours)
    found: dict[str, Any] = {"ContentType": media_type or _MEDIA_TYPE}
    for name, value in metadata.items():
        if name in _PARAMETERS:
            found[_PARAMETERS[name]] = value
        elif name.startswith(_META):
            kept[name.removeprefix(_META)] = value
        else:
            kept[_KEPT + name] = value
    return found | {"Metadata": kept}


def info_of(name: ObjectName, answer: Mapping[str, Any], size_bytes: int) -> ObjectInfo:
    """What a GetObject or HeadObject tells."""
    kept: Mapping[str, str] = answer.get("Metadata", {})
    metadata: dict[str, str] = {}
    for key, value in kept.items():
        if key.startswith(_KEPT):
            metadata[key.removeprefix(_KEPT)] = value
        elif key not in (SHA256, UPLOAD):
            metadata[_META + key] = value
    for header, parameter in _PARAMETERS.items():
        told = answer.get("ExpiresString" if parameter == "Expires" else parameter)
        if told:
            metadata[header] = str(told)
    sealed = Sealed(size_bytes, kept.get(SHA256, ""), plain(answer["ETag"]))
    return ObjectInfo(name, sealed, answer.get("ContentType") or _MEDIA_TYPE, ms(answer["LastModified"]), metadata)


def plain(etag: str) -> str:
    """Without its quotes."""
    return etag.strip('"')


def quoted(etag: str) -> str:
    """With its quotes."""
    return f'"{etag}"'


def ms(instant: datetime) -> int:
    """Since the epoch."""
    return int(instant.timestamp() * 1000)
