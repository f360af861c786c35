"""Objects: bytes under a bucket and a key, and what can be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """A bucket and a key of 1 to 1,024 bytes; any legal S3 key."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def from_uri(cls, uri: str) -> ObjectName:
        """Read `s3://bucket/key`.

        Raises:
            ValueError: not such a URI, or no key in it.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket or not key:
            raise ValueError(f"{uri!r} is not of the form s3://bucket/key")
        return cls(bucket, key)


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A name pinned to the very bytes that it had: reading it after a change is an error."""

    name: ObjectName
    etag: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """Bytes that are durable and can no longer change, and that nobody sees yet.

    `blob` names an immutable file (or staged object) of the object store; small bytes travel `inline` and live in
    the database. What an S3 service tells of a visible object has neither, and no SHA-256 of one that others put
    there. `etag` is without quotes.
    """

    size_bytes: int
    sha256: str
    etag: str
    blob: str | None = None
    inline: bytes | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing or a HEAD tells of a visible object. `modified_at_ms` is since the epoch."""

    name: ObjectName
    sealed: Sealed
    media_type: str
    modified_at_ms: int
    metadata: Mapping[str, str] = field(default_factory=dict)  # x-amz-meta-* and kept headers, lower case

    @property
    def ref(self) -> ObjectRef:
        """This very version."""
        return ObjectRef(self.name, self.sealed.etag)


@dataclass(frozen=True, slots=True)
class PutCondition:
    """When a name may be taken: only if it is free, or only if it still has this ETag."""

    if_none_match: bool = False
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing: objects, common prefixes, and where the next page starts (None: the end)."""

    objects: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket. Times are milliseconds since the epoch."""

    name: str
    created_at_ms: int
