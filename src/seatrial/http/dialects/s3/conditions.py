"""Conditional and partial reads. Source: RFC 9110, sections 13 and 14, as the S3 API Reference narrows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from seatrial.domain.objects import ObjectInfo
from seatrial.http.dialects.s3.errors import precondition_failed, s3_error

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
COPY_SOURCE = "x-amz-copy-source-"


def is_unmodified(words: Mapping[str, str], info: ObjectInfo, before: str = "") -> bool:
    """True when the client's own copy is good (304). `before` goes before the headers' names.

    Raises:
        AwsError: PreconditionFailed.
    """
    if_match = words.get(f"{before}if-match")
    unmodified_since = _seconds(words.get(f"{before}if-unmodified-since"))
    modified_seconds = info.modified_at_ms // 1000
    if if_match is not None:
        if not _matches(if_match, info.sealed.etag):
            raise precondition_failed(f"{before}If-Match")
    elif unmodified_since is not None and modified_seconds > unmodified_since:
        raise precondition_failed(f"{before}If-Unmodified-Since")
    if_none_match = words.get(f"{before}if-none-match")
    if if_none_match is not None:
        return _matches(if_none_match, info.sealed.etag)
    modified_since = _seconds(words.get(f"{before}if-modified-since"))
    return modified_since is not None and modified_seconds <= modified_since


def check_copy_source(words: Mapping[str, str], info: ObjectInfo) -> None:
    """Raises AwsError: PreconditionFailed."""
    if is_unmodified(words, info, COPY_SOURCE):
        raise precondition_failed(f"{COPY_SOURCE}If-None-Match")


def read_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """(start, length) of a range; None: all of it, also for what S3 passes over (several ranges, other units).

    Raises:
        AwsError: InvalidRange.
    """
    found = _RANGE.fullmatch(header.strip()) if header is not None else None
    if found is None or (not found[1] and not found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size_bytes)
        start = size_bytes - length
    else:
        start = int(found[1])
        end = int(found[2]) if found[2] else size_bytes - 1
        if end < start and start < size_bytes:
            return None
        length = min(end, size_bytes - 1) - start + 1
    if length <= 0:
        error = s3_error("InvalidRange", RangeRequested=header or "", ActualObjectSize=str(size_bytes))
        error.headers["content-range"] = f"bytes */{size_bytes}"
        raise error
    return start, length


def _matches(header: str, etag: str) -> bool:
    wanted = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in wanted or etag in wanted


def _seconds(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None  # not a date: passed over, as HTTP wants it
