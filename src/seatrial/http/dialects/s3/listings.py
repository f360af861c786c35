"""ListBuckets, ListObjects and ListObjectsV2: what is asked, and the pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from seatrial.domain.limits import LIST_KEYS_MAX
from seatrial.domain.objects import Bucket, ListPage, ObjectInfo
from seatrial.http.dialects.s3.errors import invalid_argument
from seatrial.http.dialects.s3.headers import checksum_type, checksums_kept, iso_date, quoted
from seatrial.http.dialects.s3.xml import document

_BUCKETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ListRequest:
    """`after` is where the page starts; `given` are the parameters that the answer repeats."""

    version: int
    prefix: str
    delimiter: str
    after: str
    limit: int
    url_encoded: bool
    with_owner: bool
    given: Mapping[str, str]


def read_list_request(query: Mapping[str, str]) -> ListRequest:
    """Raises AwsError: InvalidArgument."""
    version = 2 if query.get("list-type") == "2" else 1
    if version == 2 and "continuation-token" in query:
        after = _read_token(query["continuation-token"])
    else:
        after = query.get("start-after" if version == 2 else "marker", "")
    return ListRequest(
        version=version,
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=after,
        limit=read_count(query, "max-keys", LIST_KEYS_MAX),
        url_encoded=is_url_encoded(query),
        with_owner=version == 1 or query.get("fetch-owner") == "true",
        given=query,
    )


def list_document(request: ListRequest, page: ListPage, bucket: str, owner: str) -> bytes:
    """A page, as ListBucketResult of either version."""
    encode = encoder(request.url_encoded)
    given = request.given
    members: list[tuple[str, Any]] = [
        ("Name", bucket),
        ("Prefix", encode(request.prefix)),
        ("Delimiter", encode(request.delimiter) if request.delimiter else None),
        ("MaxKeys", request.limit),
        ("EncodingType", "url" if request.url_encoded else None),
        ("IsTruncated", page.next_after is not None),
    ]
    if request.version == 2:
        members += [
            ("KeyCount", len(page.objects) + len(page.prefixes)),
            ("StartAfter", encode(given["start-after"]) if given.get("start-after") else None),
            ("ContinuationToken", given.get("continuation-token")),
            ("NextContinuationToken", None if page.next_after is None else _token(page.next_after)),
        ]
    else:
        next_marker = page.next_after if request.delimiter else None  # S3 tells it only with a delimiter
        members += [
            ("Marker", encode(given.get("marker", ""))),
            ("NextMarker", None if next_marker is None else encode(next_marker)),
        ]
    members += [("Contents", _contents(info, encode, owner if request.with_owner else None)) for info in page.objects]
    members += [("CommonPrefixes", [("Prefix", encode(prefix))]) for prefix in page.prefixes]
    return document("ListBucketResult", members)


def buckets_document(buckets: Sequence[Bucket], query: Mapping[str, str], owner: str) -> bytes:
    """ListAllMyBucketsResult; pages when `max-buckets` asks for them. Raises AwsError: InvalidArgument."""
    limit = read_count(query, "max-buckets", _BUCKETS_MAX)
    after = _read_token(query["continuation-token"]) if "continuation-token" in query else ""
    prefix = query.get("prefix", "")
    found = [bucket for bucket in buckets if bucket.name > after and bucket.name.startswith(prefix)]
    shown = found[:limit]
    more = bool(shown) and len(found) > limit
    return document(
        "ListAllMyBucketsResult",
        [
            ("Owner", owner_members(owner)),
            ("Buckets", [("Bucket", _bucket(bucket)) for bucket in shown]),
            ("ContinuationToken", _token(shown[-1].name) if more else None),
            ("Prefix", prefix or None),
        ],
    )


def owner_members(owner: str) -> list[tuple[str, str]]:
    """Who owns everything here."""
    return [("ID", owner), ("DisplayName", owner)]


def encoder(url_encoded: bool) -> Callable[[str], str]:
    """How keys are written."""
    return (lambda key: quote(key, safe="/")) if url_encoded else str


def is_url_encoded(query: Mapping[str, str]) -> bool:
    """Raises AwsError: InvalidArgument."""
    value = query.get("encoding-type", "")
    if value not in ("", "url"):
        raise invalid_argument("encoding-type", value, "Invalid Encoding Method specified in Request")
    return value == "url"


def read_count(query: Mapping[str, str], name: str, most: int) -> int:
    """A number of entries; more than the most is cut, as S3 does. Raises AwsError: InvalidArgument."""
    value = query.get(name) or str(most)
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise invalid_argument(name, value, f"Argument {name} must be an integer between 0 and 2147483647")
    return min(int(value), most)


def _contents(info: ObjectInfo, encode: Callable[[str], str], owner: str | None) -> Iterator[tuple[str, Any]]:
    yield "Key", encode(info.name.key)
    yield "LastModified", iso_date(info.modified_at_ms)
    yield "ETag", quoted(info.sealed.etag)
    for name, value in checksums_kept(info).items():
        yield "ChecksumAlgorithm", name.rpartition("-")[2].upper()
        yield "ChecksumType", checksum_type(value)
    yield "Size", info.sealed.size_bytes
    yield "Owner", None if owner is None else owner_members(owner)
    yield "StorageClass", "STANDARD"


def _bucket(bucket: Bucket) -> list[tuple[str, str]]:
    return [("Name", bucket.name), ("CreationDate", iso_date(bucket.created_at_ms))]


def _token(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode()).decode()


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_argument("continuation-token", token, "The continuation token provided is incorrect") from None
