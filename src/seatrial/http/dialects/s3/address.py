"""Which bucket and key a request means: path style, or the bucket as the first labels of the host."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from seatrial.domain.limits import KEY_BYTES_MAX
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.s3.errors import invalid_argument, s3_error

_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_CHARS = range(3, 64)


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL names: the service (no bucket), a bucket (no key) or an object; and the query."""

    bucket: str | None
    key: str | None
    query: Mapping[str, str]

    @property
    def name(self) -> ObjectName:
        """Of the object that is meant."""
        if self.bucket is None or self.key is None:
            raise s3_error("MethodNotAllowed")
        return ObjectName(self.bucket, self.key)


def read_address(host: str, raw_path: bytes, raw_query: bytes, own_host: str) -> Address:
    """Read a request line; the path is percent-decoded once and otherwise untouched.

    Raises:
        AwsError: InvalidURI, InvalidBucketName, KeyTooLongError.
    """
    path = _text(unquote_to_bytes(raw_path)).removeprefix("/")
    bucket = bucket_of_host(host, own_host)
    if bucket is None:
        bucket, _, path = path.partition("/")
    query = dict(parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True))
    if not bucket:
        return Address(None, None, query)
    check_bucket(bucket)
    if path:
        check_key(path)
    return Address(bucket, path or None, query)


def read_copy_source(header: str) -> ObjectName:
    """The source of a copy: `bucket/key` or `/bucket/key`, percent-encoded; the header's bytes as Latin-1.

    Raises:
        AwsError: InvalidArgument, InvalidBucketName, KeyTooLongError.
    """
    encoded, _, version = header.partition("?versionId=")
    if version not in ("", "null"):
        raise invalid_argument("x-amz-copy-source", header, "Invalid version id specified")
    bucket, _, key = _text(unquote_to_bytes(encoded.encode("latin-1"))).removeprefix("/").partition("/")
    if not bucket or not key:
        raise invalid_argument("x-amz-copy-source", header, "Invalid copy source object key")
    check_bucket(bucket)
    check_key(key)
    return ObjectName(bucket, key)


def check_bucket(bucket: str) -> None:
    """S3's rules for bucket names. Raises AwsError: InvalidBucketName."""
    if not _BUCKET.fullmatch(bucket) or _is_ip_address(bucket):
        raise s3_error("InvalidBucketName", BucketName=bucket)


def check_key(key: str) -> None:
    """Any UTF-8 of 1 to 1,024 bytes without NUL. Raises AwsError: KeyTooLongError, InvalidArgument."""
    size_bytes = len(key.encode())
    if size_bytes > KEY_BYTES_MAX:
        raise s3_error("KeyTooLongError", Size=str(size_bytes), MaxSizeAllowed=str(KEY_BYTES_MAX))
    if "\0" in key:
        raise invalid_argument("key", key.replace("\0", "\\0"), "A key cannot contain the character NUL")


def bucket_of_host(host: str, own_host: str) -> str | None:
    """`bucket.localhost:8400` and `bucket.s3.localhost` name a bucket; `localhost` and addresses do not."""
    name = (urlsplit("//" + host).hostname or "").rstrip(".")
    for suffix in (".s3.localhost", ".localhost", "." + own_host):
        if name.endswith(suffix) and not _is_ip_address(own_host if suffix == "." + own_host else ""):
            bucket = name.removesuffix(suffix)
            return bucket if len(bucket) in _BUCKET_CHARS else None  # s3.localhost is this server itself
    return None


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise s3_error("InvalidURI") from None
