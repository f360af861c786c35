"""ports.object_store.ObjectStore on an S3 service: every name is a real object there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError

from seatrial.adapters.objects.blobs import sealed_inline
from seatrial.adapters.objects.s3.description import SHA256, UPLOAD, info_of, ms, parameters, plain, quoted
from seatrial.adapters.objects.s3.large_copy import copy_large
from seatrial.adapters.objects.s3.service import S3Service
from seatrial.adapters.objects.s3.staging import DOOR, FOLDER, Staging, is_refusal
from seatrial.domain.home import Home, is_own
from seatrial.domain.limits import (
    LIST_KEYS_MAX,
    ROW_INLINE_BYTES_MAX,
    S3_COPY_BYTES_MAX,
    S3_DOOR_STAGING_SECONDS_MAX,
    STREAM_CHUNK_BYTES,
)
from seatrial.domain.objects import Bucket, ListPage, ObjectInfo, ObjectName, ObjectRef, PutCondition, Sealed
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import (
    BucketExists,
    BucketNotEmpty,
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectRefused,
    Reading,
    StagingGone,
)
from seatrial.ports.storage import StoreUnavailable

log = structlog.get_logger()

OWN_BUCKETS = ("seatrial-inputs", "seatrial-results", "seatrial-trials")


class S3Objects:
    """Buckets are the service's own, but for the server's, which lie below `home`.

    Small bytes that clients send are put in one request; large ones, and all that jobs produce, are staged and then
    copied to their names by the service: a copy whose source is gone changes nothing, however late it comes.
    """

    def __init__(self, service: S3Service, home: Home, incarnation: str, clock: Clock) -> None:
        self._service = service
        self._home = home
        self._staging = Staging(service, home, incarnation)
        self._clock = clock

    # ------------------------------------------------------------ staging

    async def stage(
        self, body: AsyncIterator[bytes] | bytes | Path, limit_bytes: int, claim: str | None = None
    ) -> Sealed:
        """Without a claim small bytes stay inline. Raises TooLarge, StoreUnavailable."""
        if claim is None and isinstance(body, bytes) and len(body) <= min(limit_bytes, ROW_INLINE_BYTES_MAX):
            return sealed_inline(body)
        return await self._staging.stage(body, limit_bytes, claim)

    async def discard(self, sealed: Sequence[Sealed]) -> None:
        """Remove staged objects; names keep what was copied from them."""
        await self._staging.discard([one.blob for one in sealed if one.blob is not None])

    async def sweep(self, still_needed: Callable[[Sequence[str]], Awaitable[set[str]]]) -> int:
        """Remove what nobody needs any longer; how many. `still_needed` says which tokens and job ids do."""
        removed = 0
        after: str | None = ""
        while after is not None:
            page = await self._page(self._home.bucket, self._home.prefix + FOLDER, after=after)
            keys = {one.name.key.removeprefix(self._home.prefix): one.modified_at_ms for one in page.objects}
            words = {key: key.split("/")[2] for key in keys if key.count("/") == 3}
            needed = await still_needed(sorted({word for word in words.values() if not word.startswith(DOOR)}))
            old_ms = self._clock.now_ms() - S3_DOOR_STAGING_SECONDS_MAX * 1000
            unneeded = [
                key
                for key, word in words.items()
                if (keys[key] < old_ms if word.startswith(DOOR) else word not in needed)
            ]
            await self._staging.discard(unneeded)
            removed += len(unneeded)
            after = page.next_after
        return removed

    # ------------------------------------------------------------ names

    async def reveal(
        self,
        sealed: Sealed,
        name: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None = None,
    ) -> ObjectInfo:
        """Raises NoSuchBucket, ConditionFailed, StagingGone, ObjectRefused, StoreUnavailable."""
        target = self._home.real(name)
        if sealed.blob is None:
            return await self._put(sealed, name, target, media_type, metadata, condition)
        described = parameters(media_type, metadata, {SHA256: sealed.sha256, UPLOAD: sealed.blob})
        source = ObjectName(self._home.bucket, self._home.prefix + sealed.blob)
        try:
            answer = await self._copy(source, target, sealed.size_bytes, described, condition)
        except (ConditionFailed, NoSuchObject) as refused:
            mine = await self._mine(name, target, sealed.blob)
            if mine is not None:
                return mine
            if isinstance(refused, NoSuchObject):
                raise StagingGone(f"what was staged for {name.uri} is gone") from refused
            raise
        if sealed.blob.split("/")[2].startswith(DOOR):
            await self._staging.discard([sealed.blob])  # nobody will come for it again
        if "LastModified" not in answer:  # of a copy in parts
            return await self.head(name)
        return info_of(name, described | answer, sealed.size_bytes)

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None = None,
    ) -> ObjectInfo:
        """Raises NoSuchBucket, NoSuchObject, ObjectChanged, ConditionFailed, ObjectRefused, StoreUnavailable."""
        before = await self._pinned(source)
        ours = {} if not before.sealed.sha256 else {SHA256: before.sealed.sha256}
        described = parameters(media_type, metadata, ours)
        origin, real = self._home.real(source.name), self._home.real(target)
        try:
            await self._copy(origin, real, before.sealed.size_bytes, described, condition, source.etag)
        except ConditionFailed:
            await self._pinned(source)
            raise
        except NoSuchBucket:
            if not await self._service.has_bucket(real.bucket):
                raise NoSuchBucket(target.bucket) from None
            raise
        return await self.head(target)

    async def head(self, name: ObjectName) -> ObjectInfo:
        """Raises NoSuchBucket, NoSuchObject, ObjectRefused, StoreUnavailable."""
        real = self._home.real(name)
        answer = await self._service.call("head_object", Bucket=real.bucket, Key=real.key)
        return info_of(name, answer, answer["ContentLength"])

    async def read(self, what: ObjectName | ObjectRef, start: int = 0, length: int | None = None) -> Reading:
        """A range beyond the end is cut. Raises NoSuchBucket, NoSuchObject, ObjectChanged, StoreUnavailable."""
        name = what if isinstance(what, ObjectName) else what.name
        if start or length is not None:
            info = await self.head(name) if isinstance(what, ObjectName) else await self._pinned(what)
            begin = min(start, info.sealed.size_bytes)
            rest = info.sealed.size_bytes - begin
            size = rest if length is None else min(length, rest)
            if not size:
                return Reading(info, _nothing(), begin, 0)
            answer = await self._get(info.ref, f"bytes={begin}-{begin + size - 1}")
            return Reading(info, S3Chunks(self._service, answer["Body"]), begin, size)
        answer = await self._get(what)
        info = info_of(name, answer, answer["ContentLength"])
        return Reading(info, S3Chunks(self._service, answer["Body"]), 0, info.sealed.size_bytes)

    async def local_path(self, ref: ObjectRef) -> Path | None:
        """None: the bytes are elsewhere. Raises NoSuchBucket, NoSuchObject, ObjectChanged, StoreUnavailable."""
        await self._pinned(ref)
        return None

    async def delete(self, name: ObjectName) -> None:
        """Raises NoSuchBucket, ObjectRefused, StoreUnavailable."""
        real = self._home.real(name)
        await self._service.call("delete_object", Bucket=real.bucket, Key=real.key)

    async def list(
        self, bucket: str, prefix: str = "", delimiter: str = "", after: str = "", limit: int = LIST_KEYS_MAX
    ) -> ListPage:
        """The objects come without media type and metadata. Raises NoSuchBucket, ObjectRefused, StoreUnavailable."""
        real = self._home.real(ObjectName(bucket, ""))
        if limit == 0:
            if not await self._service.has_bucket(real.bucket):
                raise NoSuchBucket(bucket)
            return ListPage((), (), None)
        page = await self._page(real.bucket, real.key + prefix, delimiter, real.key + after if after else "", limit)
        return ListPage(
            objects=tuple(_renamed(one, bucket, len(real.key)) for one in page.objects),
            prefixes=tuple(one[len(real.key) :] for one in page.prefixes),
            next_after=None if page.next_after is None else page.next_after[len(real.key) :],
        )

    # ------------------------------------------------------------ buckets

    async def create_bucket(self, bucket: str) -> None:
        """The server's own are always there. Raises BucketExists, ObjectRefused, StoreUnavailable."""
        if is_own(bucket) or await self._service.has_bucket(bucket):
            raise BucketExists(bucket)
        region = self._service.access.region
        constraint = None if region == "us-east-1" else {"LocationConstraint": region}
        await self._service.call("create_bucket", Bucket=bucket, CreateBucketConfiguration=constraint)

    async def delete_bucket(self, bucket: str) -> None:
        """Raises NoSuchBucket, BucketNotEmpty, ObjectRefused, StoreUnavailable."""
        if is_own(bucket):
            raise BucketNotEmpty(bucket)
        if (await self.list(bucket, limit=1)).objects:  # not every service looks by itself
            raise BucketNotEmpty(bucket)
        await self._service.call("delete_bucket", Bucket=bucket)

    async def buckets(self) -> Sequence[Bucket]:
        """All that the service lists, and the server's own."""
        answer = await self._service.call("list_buckets")
        real = [Bucket(one["Name"], ms(one["CreationDate"])) for one in answer.get("Buckets", [])]
        since_ms = next((one.created_at_ms for one in real if one.name == self._home.bucket), 0)
        own = [Bucket(name, since_ms) for name in OWN_BUCKETS]
        return sorted([*real, *own], key=lambda one: one.name)

    async def check(self) -> None:
        """Raises StoreUnavailable."""
        try:
            await self.discard([await self._staging.stage(b"", 0, None)])
        except (ObjectRefused, NoSuchBucket) as error:
            raise StoreUnavailable(f"the object store does not take anything: {error}") from error

    async def try_out(self) -> None:
        """Whether this can work at all. Raises NoSuchBucket, ObjectRefused, StoreUnavailable."""
        if not await self._service.has_bucket(self._home.bucket):
            raise NoSuchBucket(self._home.bucket)
        await self.list(self._home.bucket, limit=1)
        try:
            await self.check()
        except StoreUnavailable as error:
            if is_refusal(error.__cause__):
                raise ObjectRefused(str(error)) from error
            raise

    # ------------------------------------------------------------ how

    async def _put(
        self,
        sealed: Sealed,
        name: ObjectName,
        target: ObjectName,
        media_type: str,
        metadata: Mapping[str, str],
        condition: PutCondition | None,
    ) -> ObjectInfo:
        if not await self._service.has_bucket(target.bucket):  # some services make a bucket of any name on a PUT
            raise NoSuchBucket(name.bucket)
        described = parameters(media_type, metadata, {SHA256: sealed.sha256})
        await self._service.call(
            "put_object",
            Bucket=target.bucket,
            Key=target.key,
            Body=sealed.inline or b"",
            **described,
            **_conditions(condition),
        )
        return await self.head(name)

    async def _copy(
        self,
        source: ObjectName,
        target: ObjectName,
        size_bytes: int,
        described: Mapping[str, Any],
        condition: PutCondition | None,
        etag: str | None = None,
    ) -> dict[str, Any]:
        """What the service says of the copy: ETag, and LastModified if it did."""
        given = {
            "Bucket": target.bucket,
            "Key": target.key,
            "CopySource": {"Bucket": source.bucket, "Key": source.key},
            "CopySourceIfMatch": None if etag is None else quoted(etag),
        }
        if size_bytes > S3_COPY_BYTES_MAX:
            return await copy_large(self._service, given, size_bytes, described, _conditions(condition))
        answer = await self._service.call(
            "copy_object", MetadataDirective="REPLACE", **given, **described, **_conditions(condition)
        )
        result: dict[str, Any] = answer["CopyObjectResult"]
        # To the second, as a HEAD will tell it.
        return {"ETag": result["ETag"], "LastModified": result["LastModified"].replace(microsecond=0)}

    async def _mine(self, name: ObjectName, target: ObjectName, blob: str) -> ObjectInfo | None:
        """The object under a name, if it was copied from this very blob."""
        try:
            answer = await self._service.call("head_object", Bucket=target.bucket, Key=target.key)
        except NoSuchObject:
            return None
        mine = answer.get("Metadata", {}).get(UPLOAD) == blob
        return info_of(name, answer, answer["ContentLength"]) if mine else None

    async def _pinned(self, ref: ObjectRef) -> ObjectInfo:
        info = await self.head(ref.name)
        if info.sealed.etag != ref.etag:
            raise ObjectChanged(f"{ref.name.uri} has changed")
        return info

    async def _get(self, what: ObjectName | ObjectRef, bytes_range: str | None = None) -> dict[str, Any]:
        name = what if isinstance(what, ObjectName) else what.name
        etag = None if isinstance(what, ObjectName) else quoted(what.etag)
        real = self._home.real(name)
        try:
            return await self._service.call(
                "get_object", Bucket=real.bucket, Key=real.key, IfMatch=etag, Range=bytes_range
            )
        except ConditionFailed:
            raise ObjectChanged(f"{name.uri} has changed") from None

    async def _page(
        self, bucket: str, prefix: str, delimiter: str = "", after: str = "", limit: int = LIST_KEYS_MAX
    ) -> ListPage:
        """At most `limit` entries after `after`; a common prefix that was told before is passed over."""
        found: list[ObjectInfo | str] = []
        token: str | None = None
        more = True
        while more and len(found) <= limit:
            answer = await self._service.call(
                "list_objects_v2",
                Bucket=bucket,
                Prefix=prefix,
                Delimiter=delimiter or None,
                StartAfter=None if token else after or None,
                ContinuationToken=token,
                MaxKeys=min(limit + 2 - len(found), LIST_KEYS_MAX),
            )
            entries = [_listed(bucket, one) for one in answer.get("Contents", [])]
            prefixes = [one["Prefix"] for one in answer.get("CommonPrefixes", [])]
            found += [one for one in sorted([*entries, *prefixes], key=_place) if _is_after(one, after)]
            token = answer.get("NextContinuationToken")
            more = bool(answer.get("IsTruncated")) and token is not None
        shown = found[:limit]
        return ListPage(
            objects=tuple(one for one in shown if isinstance(one, ObjectInfo)),
            prefixes=tuple(one for one in shown if isinstance(one, str)),
            next_after=_key(shown[-1]) if more or len(found) > limit else None,
        )


class S3Chunks:
    """The bytes of an answer in chunks of at most 1 MiB, read in threads."""

    def __init__(self, service: S3Service, body: Any) -> None:
        self._service = service
        self._body = body
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        try:
            data: bytes = await self._service.run(partial(self._body.read, STREAM_CHUNK_BYTES))
        except (BotoCoreError, OSError) as error:
            raise StoreUnavailable(f"the object store broke off: {error}") from error
        if not data:
            await self.aclose()
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Read no further."""
        if not self._closed:
            self._closed = True
            await asyncio.shield(self._service.run(self._body.close))


async def _nothing() -> AsyncIterator[bytes]:
    for data in tuple[bytes, ...]():
        yield data


def _conditions(condition: PutCondition | None) -> dict[str, Any]:
    if condition is None:
        return {}
    return {
        "IfNoneMatch": "*" if condition.if_none_match else None,
        "IfMatch": None if condition.if_match is None else quoted(condition.if_match),
    }


def _listed(bucket: str, one: Mapping[str, Any]) -> ObjectInfo:
    sealed = Sealed(one["Size"], "", plain(one["ETag"]))
    return ObjectInfo(ObjectName(bucket, one["Key"]), sealed, "", ms(one["LastModified"]))


def _key(entry: ObjectInfo | str) -> str:
    return entry if isinstance(entry, str) else entry.name.key


def _place(entry: ObjectInfo | str) -> bytes:
    return _key(entry).encode()


def _is_after(entry: ObjectInfo | str, after: str) -> bool:
    """A common prefix counts as long as keys below it may come, unless it is itself what was told last."""
    key = _key(entry)
    if isinstance(entry, str) and after != key and after.startswith(key):
        return True
    return key.encode() > after.encode()


def _renamed(one: ObjectInfo, bucket: str, skip: int) -> ObjectInfo:
    return ObjectInfo(ObjectName(bucket, one.name.key[skip:]), one.sealed, one.media_type, one.modified_at_ms)
