"""The headers that describe an object: kept when it is put, told when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl

from seatrial.domain.checksums import ALGORITHMS
from seatrial.domain.limits import METADATA_BYTES_MAX
from seatrial.domain.objects import ObjectInfo, PutCondition
from seatrial.http.dialects.s3.errors import invalid_argument, not_offered, s3_error
from seatrial.http.dialects.s3.integrity import CHECKSUM

MEDIA_TYPE = "binary/octet-stream"  # S3's, when the client says none
META = "x-amz-meta-"

_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OVERRIDES = {f"response-{name}": name for name in (*_KEPT, "content-type")}
_CHECKSUMS = tuple(CHECKSUM + algorithm for algorithm in ALGORITHMS)
_NO_EFFECT = {  # header -> the values that ask for what is the case anyway
    "x-amz-acl": ("private", "bucket-owner-full-control", "bucket-owner-read"),
    "x-amz-storage-class": ("STANDARD",),
    "x-amz-tagging": ("",),
    "x-amz-object-ownership": ("BucketOwnerEnforced",),
    "x-amz-bucket-object-lock-enabled": ("false", "False"),
}
_UNOFFERED = ("x-amz-grant-", "x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-copy-source-server-side-")
_UNOFFERED_NAMES = ("x-amz-website-redirect-location", "x-amz-write-offset-bytes")


def read_words(headers: Mapping[str, str], raw_query: bytes) -> dict[str, str]:
    """The request's headers in lower case; a presigned URL may carry x-amz-* ones in its query.

    Raises:
        AwsError: InvalidArgument.
    """
    query = parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True)
    hoisted = {name.lower(): _as_header(name, value) for name, value in query if name.lower().startswith("x-amz-")}
    return hoisted | {name.lower(): value for name, value in headers.items()}


def refuse_unoffered(words: Mapping[str, str], account_id: str) -> None:
    """Refuse headers that ask for what would not be done, instead of passing over them.

    Raises:
        AwsError: NotImplemented, AccessDenied (the bucket's owner is another than expected).
    """
    for name, value in words.items():
        harmless = _NO_EFFECT.get(name)
        if harmless is not None and value not in harmless:
            raise not_offered(f"{name}: {value}")
        if name.startswith(_UNOFFERED) or name in _UNOFFERED_NAMES:
            raise not_offered(f"The header {name}")
    for name in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
        if words.get(name, account_id) != account_id:
            raise s3_error("AccessDenied")


def read_description(words: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Media type and metadata of an object to be put. Raises AwsError: MetadataTooLarge."""
    metadata = {name: value for name, value in words.items() if name.startswith(META)}
    size_bytes = sum(len(name) - len(META) + len(value) for name, value in metadata.items())
    if size_bytes > METADATA_BYTES_MAX:
        raise s3_error("MetadataTooLarge", Size=str(size_bytes), MaxSizeAllowed=str(METADATA_BYTES_MAX))
    kept = {name: words[name] for name in _KEPT if name in words}
    codings = [coding.strip() for coding in kept.pop("content-encoding", "").split(",")]
    lasting = [coding for coding in codings if coding not in ("", "aws-chunked")]
    if lasting:
        kept["content-encoding"] = ",".join(lasting)
    return words.get("content-type") or MEDIA_TYPE, metadata | kept


def read_put_condition(words: Mapping[str, str]) -> PutCondition | None:
    """When the name may be taken. Raises AwsError: NotImplemented."""
    if_none_match, if_match = words.get("if-none-match"), words.get("if-match")
    if if_none_match is not None and if_none_match.strip() != "*":
        raise not_offered('If-None-Match with anything but "*"')
    if if_none_match is None and if_match is None:
        return None
    return PutCondition(if_none_match is not None, None if if_match is None else if_match.strip().strip('"'))


def told(info: ObjectInfo, *, with_checksum: bool) -> dict[str, str]:
    """The headers of a GET or HEAD, all but Content-Length."""
    headers = {
        "etag": quoted(info.sealed.etag),
        "last-modified": http_date(info.modified_at_ms),
        "content-type": _CONTROL.sub(" ", info.media_type).encode("latin-1", "replace").decode("latin-1"),
        "accept-ranges": "bytes",
    }
    for name, value in info.metadata.items():
        if name.startswith(META) or name in _KEPT:
            headers[name] = value
        elif with_checksum and name in _CHECKSUMS:
            headers[name] = value
            headers["x-amz-checksum-type"] = checksum_type(value)
    return headers


def read_overrides(query: Mapping[str, str]) -> dict[str, str]:
    """Headers that a presigned URL wants in its answer. Raises AwsError: InvalidArgument."""
    return {header: _as_header(name, query[name]) for name, header in _OVERRIDES.items() if name in query}


def checksums_kept(info: ObjectInfo) -> dict[str, str]:
    """The checksum headers of an object."""
    return {name: value for name, value in info.metadata.items() if name in _CHECKSUMS}


def checksum_type(value: str) -> str:
    """S3's word for a checksum over the bytes, or over the parts' checksums."""
    return "COMPOSITE" if "-" in value else "FULL_OBJECT"


def quoted(etag: str) -> str:
    """As S3 writes it."""
    return f'"{etag}"'


def _as_header(name: str, value: str) -> str:
    """A value of the query as a header's: its UTF-8 bytes, which must not end the header."""
    if _CONTROL.search(value):
        raise invalid_argument(name, repr(value), "A header has no control characters")
    return value.encode().decode("latin-1")


def http_date(at_ms: int) -> str:
    """To the second."""
    return format_datetime(datetime.fromtimestamp(at_ms // 1000, UTC), usegmt=True)


def iso_date(at_ms: int) -> str:
    """As S3's documents have it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
