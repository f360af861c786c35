"""How a client sent a media field: recognised and well formed, nothing fetched."""

from __future__ import annotations

import binascii
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seatrial.domain.checking.problems import Problem
from seatrial.domain.contract import Field, MediaSource
from seatrial.domain.errors import INVALID_FIELD, MEDIA_TOO_LARGE
from seatrial.domain.limits import KEY_BYTES_MAX, URL_CHARS_MAX
from seatrial.domain.objects import ObjectName

BASE64_CHARS_MIN = 16  # shorter text is taken for a key
_ALPHABET = (string.ascii_letters + string.digits + "+/").encode()
_URL_SAFE = str.maketrans("-_", "+/")

_FORMS: Mapping[MediaSource, str] = {
    MediaSource.KEY: "an object key together with its bucket",
    MediaSource.URI: "s3://bucket/key",
    MediaSource.URL: "an http(s) URL",
    MediaSource.DATA_URL: "data:…;base64,…",
    MediaSource.BASE64: "base64 text",
    MediaSource.RAW: "a file part of multipart/form-data or the whole request body",
}


@dataclass(frozen=True, slots=True)
class RawMedia:
    """A whole body or a multipart file part, in place of a field's value in a payload."""

    content: bytes | Path
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MediaValue:
    """A media field as it was sent.

    `value` by source: KEY and URI an ObjectName; URL its text; DATA_URL and BASE64 base64 text in the standard
    alphabet, padded, without white space; RAW a RawMedia.
    """

    field: Field
    source: MediaSource
    value: str | ObjectName | RawMedia


def read_media(field: Field, payload: Mapping[str, Any]) -> MediaValue | Problem | None:
    """The field as it was sent, or what is wrong with it; None: it was not sent."""
    key = payload.get(field.key_field) if field.key_field else None
    if key is not None:
        if payload.get(field.name) is not None:
            return Problem(INVALID_FIELD, field.name, f"Give either {field.name!r} or {field.key_field!r}, not both.")
        found = _key(field, key, payload, str(field.key_field))
    elif field.name in payload:
        found = _sent(field, payload[field.name], payload)
    elif field.default is not None:
        found = _sent(field, field.default, payload)
    else:
        return None
    if isinstance(found, MediaValue) and found.source not in field.sources:
        return _invalid(field, f"{field.name!r} does not take {_FORMS[found.source]}.")
    return found


def accepted(field: Field) -> str:
    """The forms in which this field may be sent, in words."""
    words = [text for source, text in _FORMS.items() if source in field.sources]
    if field.key_field and MediaSource.KEY in field.sources:
        words.append(f"an object key in {field.key_field!r}")
    return "; ".join(words)


def normal_base64(text: str) -> str | None:
    """The text in the standard alphabet without white space; None: it is not strictly valid base64.

    RFC 4648 sections 4 and 5 (never mixed), padding required.
    """
    compact = "".join(text.split())
    digits = compact.rstrip("=")
    if not digits or len(compact) % 4 or len(compact) - len(digits) > 2 or not compact.isascii():
        return None
    if "-" in digits or "_" in digits:
        if "+" in digits or "/" in digits:
            return None
        digits, compact = digits.translate(_URL_SAFE), compact.translate(_URL_SAFE)
    return None if digits.encode().translate(None, _ALPHABET) else compact


def base64_bytes(text: str) -> bytes:
    """The bytes of normal base64 text."""
    return binascii.a2b_base64(text)


def too_large(field: Field, size_bytes: int) -> Problem:
    """The media_too_large problem, naming both sizes."""
    return Problem(
        MEDIA_TOO_LARGE,
        field.name,
        f"{field.name!r} has {size_bytes:,} bytes, more than the {field.bytes_max:,} that are allowed.",
        f"at most {field.bytes_max:,} bytes",
    )


def _sent(field: Field, sent: Any, payload: Mapping[str, Any]) -> MediaValue | Problem:
    if isinstance(sent, RawMedia):
        return _raw(field, sent)
    if isinstance(sent, Mapping):
        return _reference(field, sent, payload)
    if not isinstance(sent, str):
        return _invalid(field, f"{field.name!r} must be text or an object with bucket and key.")
    scheme = sent[:8].partition(":")[0].lower()
    if scheme == "s3":
        return _uri(field, sent)
    if scheme in ("http", "https"):
        return _url(field, sent)
    if scheme == "data":
        return _data_url(field, sent)
    return _bare_text(field, sent, payload)


def _raw(field: Field, sent: RawMedia) -> MediaValue | Problem:
    if sent.size_bytes > field.bytes_max:
        return too_large(field, sent.size_bytes)
    return MediaValue(field, MediaSource.RAW, sent)


def _uri(field: Field, text: str) -> MediaValue | Problem:
    try:
        return MediaValue(field, MediaSource.URI, ObjectName.from_uri("s3" + text[2:]))
    except ValueError:
        return _invalid(field, f"{field.name!r} must be of the form s3://bucket/key.")


def _url(field: Field, text: str) -> MediaValue | Problem:
    try:
        well_formed = len(text) <= URL_CHARS_MAX and bool(urlsplit(text).hostname)
    except ValueError:
        well_formed = False
    if not well_formed:
        return _invalid(field, f"{field.name!r} is no well-formed http(s) URL of at most {URL_CHARS_MAX:,} characters.")
    return MediaValue(field, MediaSource.URL, text)


def _data_url(field: Field, text: str) -> MediaValue | Problem:
    head, comma, data = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        return _invalid(field, f"{field.name!r} must be of the form data:MEDIA/TYPE;base64,…")
    normal = normal_base64(data)
    if normal is None:
        return _invalid(field, f"What follows 'base64,' in {field.name!r} is not valid base64.")
    return _base64(field, MediaSource.DATA_URL, normal)


def _bare_text(field: Field, text: str, payload: Mapping[str, Any]) -> MediaValue | Problem:
    takes_base64 = MediaSource.BASE64 in field.sources or MediaSource.KEY not in field.sources
    if takes_base64 and len(text) >= BASE64_CHARS_MIN:
        normal = normal_base64(text)
        if normal is not None:
            return _base64(field, MediaSource.BASE64, normal)
    if len(text) > KEY_BYTES_MAX:
        return _invalid(field, f"{field.name!r} is neither valid base64 (its alphabet or padding) nor a reference.")
    return _key(field, text, payload, field.name)


def _base64(field: Field, source: MediaSource, normal: str) -> MediaValue | Problem:
    size_bytes = len(normal) // 4 * 3 - normal[-2:].count("=")
    return too_large(field, size_bytes) if size_bytes > field.bytes_max else MediaValue(field, source, normal)


def _key(field: Field, key: Any, payload: Mapping[str, Any], sent_in: str) -> MediaValue | Problem:
    sent_bucket = payload.get(field.bucket_field) if field.bucket_field else None
    bucket = field.bucket_default if sent_bucket is None else sent_bucket
    if bucket is None:
        how = f" (give the bucket in {field.bucket_field!r})" if field.bucket_field else ""
        return _invalid(field, f"{sent_in!r} looks like an object key, and no bucket is known{how}.", sent_in)
    return _named(field, bucket, key, sent_in)


def _reference(field: Field, sent: Mapping[str, Any], payload: Mapping[str, Any]) -> MediaValue | Problem:
    """An object with bucket and key; without a bucket the key is one like any other."""
    if set(sent) == {"key"}:
        return _key(field, sent["key"], payload, field.name)
    if set(sent) != {"bucket", "key"}:
        return _invalid(field, f"{field.name!r} must have exactly the members 'bucket' and 'key', or 'key' alone.")
    return _named(field, sent["bucket"], sent["key"], field.name)


def _named(field: Field, bucket: Any, key: Any, sent_in: str) -> MediaValue | Problem:
    if not isinstance(bucket, str) or not bucket or "/" in bucket:
        return _invalid(field, "A bucket must be a name without slashes.", field.bucket_field or sent_in)
    if not isinstance(key, str) or not 0 < len(key.encode(errors="replace")) <= KEY_BYTES_MAX:
        return _invalid(field, f"{sent_in!r} must be an object key of 1 to {KEY_BYTES_MAX:,} bytes.", sent_in)
    return MediaValue(field, MediaSource.KEY, ObjectName(bucket, key))


def _invalid(field: Field, message: str, sent_in: str | None = None) -> Problem:
    return Problem(INVALID_FIELD, sent_in or field.name, message, accepted(field))
