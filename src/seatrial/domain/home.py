"""Where the server's own buckets lie when objects are kept in somebody's S3: below one prefix of one real bucket."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.domain.objects import ObjectName

OWN_PREFIX = "seatrial-"  # how the names of the server's own buckets begin
HIDDEN_PREFIX = "."  # and of those that no client can name


def is_own(bucket: str) -> bool:
    """True for a bucket of the server's own."""
    return bucket.startswith((OWN_PREFIX, HIDDEN_PREFIX))


@dataclass(frozen=True, slots=True)
class Home:
    """`s3://bucket/prefix`; the prefix is empty or ends with a slash."""

    bucket: str
    prefix: str = ""

    @classmethod
    def from_uri(cls, uri: str) -> Home:
        """Read `s3://bucket` or `s3://bucket/prefix`.

        Raises:
            ValueError: not such a URI.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, prefix = rest.partition("/")
        prefix = prefix.strip("/")
        if scheme != "s3" or not bucket or "//" in prefix or is_own(bucket):
            raise ValueError(f"{uri!r} is not of the form s3://bucket/prefix")
        return cls(bucket, prefix + "/" if prefix else "")

    @property
    def uri(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def real(self, name: ObjectName) -> ObjectName:
        """The name in the real store: `seatrial-results`'s `k` is `<prefix>/seatrial-results/k` of the bucket."""
        return ObjectName(self.bucket, f"{self.prefix}{name.bucket}/{name.key}") if is_own(name.bucket) else name

    def own(self, name: ObjectName) -> ObjectName:
        """The other way: a real name below the home as the own bucket's, any other as it is."""
        if name.bucket != self.bucket or not name.key.startswith(self.prefix):
            return name
        bucket, slash, key = name.key[len(self.prefix) :].partition("/")
        return ObjectName(bucket, key) if slash and is_own(bucket) else name
