"""What a request says of its body, and whether the body that came is that one."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from seatrial.domain import checksums
from seatrial.domain.limits import OBJECT_PUT_BYTES_MAX
from seatrial.http.dialects.s3.errors import entity_too_large, invalid_argument, invalid_request, s3_error

CHECKSUM = "x-amz-checksum-"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_STREAMING = "STREAMING-"
_TRAILING = "-TRAILER"
_MD5_BYTES = 16


@dataclass(frozen=True, slots=True)
class Declared:
    """What the client says: its hashes (`md5` and `checksum` in base64), and how the body is encoded.

    `trailing`: the checksum of that algorithm follows in a trailing header. `size_bytes` is of the payload.
    """

    size_bytes: int | None
    md5: str | None = None
    sha256: str | None = None
    algorithm: str | None = None
    checksum: str | None = None
    chunked: bool = False
    trailing: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came; `md5` and `sha256` in hexadecimal, `checksum` of the declared algorithm in base64."""

    size_bytes: int
    md5: str
    sha256: str
    checksum: str | None


def read_declared(words: Mapping[str, str], payload_sha256: str | None) -> Declared:
    """Read the headers (lower case), and what was signed of the payload.

    Raises:
        AwsError: InvalidDigest, InvalidRequest, InvalidArgument, EntityTooLarge.
    """
    signed = payload_sha256 or _UNSIGNED
    chunked = signed.startswith(_STREAMING) or _codings(words)[:1] == ["aws-chunked"]
    algorithm, checksum, trailing = _checksum(words)
    return Declared(
        size_bytes=_size(words, "x-amz-decoded-content-length" if chunked else "content-length"),
        md5=_md5(words),
        sha256=None if chunked or signed == _UNSIGNED else signed,
        algorithm=algorithm,
        checksum=checksum,
        chunked=chunked,
        trailing=trailing,
    )


def has_signed_trailers(payload_sha256: str | None) -> bool:
    """True for the streaming forms that end with trailing headers."""
    return (payload_sha256 or "").endswith(_TRAILING)


def with_trailers(declared: Declared, trailers: Mapping[str, str]) -> Declared:
    """Add what the trailing headers said. Raises AwsError: InvalidRequest."""
    if not declared.trailing or declared.algorithm is None:
        return declared
    checksum = trailers.get(CHECKSUM + declared.algorithm)
    if checksum is None:
        raise invalid_request(f"The trailing header {CHECKSUM}{declared.algorithm} was announced and did not come.")
    return replace(declared, checksum=_valid(declared.algorithm, checksum))


def check(declared: Declared, arrived: Arrived) -> None:
    """Compare.

    Raises:
        AwsError: IncompleteBody, BadDigest, XAmzContentSHA256Mismatch.
    """
    if declared.size_bytes is not None and declared.size_bytes != arrived.size_bytes:
        raise s3_error("IncompleteBody")
    if declared.sha256 is not None and not _equal(declared.sha256, arrived.sha256):
        raise s3_error(
            "XAmzContentSHA256Mismatch",
            ClientComputedContentSHA256=declared.sha256,
            S3ComputedContentSHA256=arrived.sha256,
        )
    if declared.md5 is not None and base64.b64decode(declared.md5).hex() != arrived.md5:
        raise s3_error("BadDigest", ExpectedDigest=declared.md5)
    if declared.checksum is not None and declared.checksum != arrived.checksum:
        raise s3_error("BadDigest", ExpectedDigest=declared.checksum, CalculatedDigest=arrived.checksum or "")


def kept_checksum(declared: Declared, arrived: Arrived) -> dict[str, str]:
    """The header to keep with the object, when the client gave a checksum."""
    if declared.algorithm is None or arrived.checksum is None:
        return {}
    return {CHECKSUM + declared.algorithm: arrived.checksum}


def _codings(words: Mapping[str, str]) -> list[str]:
    return [coding.strip() for coding in words.get("content-encoding", "").split(",")]


def _size(words: Mapping[str, str], name: str) -> int | None:
    value = words.get(name)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise invalid_argument(name, value, f"{name} is a number of bytes")
    size_bytes = int(value)
    if size_bytes > OBJECT_PUT_BYTES_MAX:
        raise entity_too_large(size_bytes)
    return size_bytes


def _md5(words: Mapping[str, str]) -> str | None:
    value = words.get("content-md5")
    if value is not None and _decoded_length(value) != _MD5_BYTES:
        raise s3_error("InvalidDigest", **{"Content-MD5": value})
    return value


def _checksum(words: Mapping[str, str]) -> tuple[str | None, str | None, bool]:
    given = {name: words[CHECKSUM + name] for name in checksums.ALGORITHMS if CHECKSUM + name in words}
    announced = words.get("x-amz-trailer", "").strip().lower()
    trailing = announced.removeprefix(CHECKSUM) if announced.startswith(CHECKSUM) else None
    if len(given) + (trailing is not None) > 1:
        raise invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    if trailing is not None:
        return _known(trailing), None, True
    for algorithm, value in given.items():
        return algorithm, _valid(algorithm, value), False
    if "x-amz-sdk-checksum-algorithm" in words:
        raise invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found."
        )
    return None, None, False


def _known(algorithm: str) -> str:
    if algorithm not in checksums.ALGORITHMS:
        raise invalid_request("The value specified in the x-amz-trailer header is not supported")
    return algorithm


def _valid(algorithm: str, value: str) -> str:
    if _decoded_length(value) != len(checksums.new_checksum(algorithm).digest()):
        raise invalid_request(f"Value for {CHECKSUM}{algorithm} header is invalid.")
    return value


def _decoded_length(value: str) -> int:
    try:
        return len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return -1


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
