"""Operations on buckets and their listings."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from seatrial.domain.credentials import Principal
from seatrial.domain.errors import Forbidden
from seatrial.domain.home import Home
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.aws_errors import AwsError, Protocol, access_denied
from seatrial.http.dialects.s3 import documents, listings
from seatrial.http.dialects.s3.address import check_key
from seatrial.http.dialects.s3.errors import illegal_location, no_such_bucket, not_offered, s3_error
from seatrial.http.doors.s3.call import Incoming, S3Call
from seatrial.http.doors.s3.reach import check_name
from seatrial.ports.object_store import BucketExists, NoSuchBucket, ObjectStore

XML = "application/xml"
_DELETED_AT_ONCE = 100


class Buckets:
    """Needs the store, and who owns it."""

    def __init__(self, objects: ObjectStore, owner: str, region: str, home: Home | None) -> None:
        self._objects = objects
        self._owner = owner
        self._region = region
        self._home = home

    async def list_buckets(self, call: S3Call) -> Response:
        """ListBuckets; buckets whose names clients cannot say are the server's own."""
        reaches = call.aws.principal.reaches_bucket
        buckets = [one for one in await self._objects.buckets() if not one.name.startswith(".") and reaches(one.name)]
        return Response(listings.buckets_document(buckets, call.address.query, self._owner), media_type=XML)

    async def create(self, call: S3Call) -> Response:
        """CreateBucket; a second time it is well in the classic region, and elsewhere a conflict, as at AWS."""
        region = documents.read_location(await Incoming(call).document())
        if region is not None and region != self._region:
            raise illegal_location(region)
        try:
            await self._objects.create_bucket(call.bucket)
        except BucketExists:
            if region not in (None, documents.CLASSIC_REGION):
                raise s3_error("BucketAlreadyOwnedByYou", BucketName=call.bucket) from None
        return Response(headers={"location": f"/{call.bucket}"})

    async def head(self, call: S3Call) -> Response:
        """HeadBucket."""
        await self._objects.list(call.bucket, limit=1)
        return Response(headers={"x-amz-bucket-region": self._region})

    async def delete(self, call: S3Call) -> Response:
        """DeleteBucket."""
        await self._objects.delete_bucket(call.bucket)
        return Response(status_code=204)

    async def location(self, call: S3Call) -> Response:
        """GetBucketLocation: the server's region."""
        await self._objects.list(call.bucket, limit=1)
        return Response(documents.location_document(self._region), media_type=XML)

    async def versioning(self, call: S3Call) -> Response:
        """GetBucketVersioning: never switched on."""
        await self._objects.list(call.bucket, limit=1)
        return Response(documents.versioning_document(), media_type=XML)

    async def access(self, call: S3Call) -> Response:
        """GetBucketAcl: the owner's alone."""
        await self._objects.list(call.bucket, limit=1)
        return Response(documents.access_document(self._owner), media_type=XML)

    async def tagging(self, call: S3Call) -> Response:
        """GetBucketTagging: there are none."""
        await self._objects.list(call.bucket, limit=1)
        raise s3_error("NoSuchTagSet", BucketName=call.bucket)

    async def list_objects(self, call: S3Call) -> Response:
        """ListObjects, both versions."""
        asked = listings.read_list_request(call.address.query)
        page = await self._objects.list(call.bucket, asked.prefix, asked.delimiter, asked.after, asked.limit)
        return Response(listings.list_document(asked, page, call.bucket, self._owner), media_type=XML)

    async def delete_objects(self, call: S3Call) -> Response:
        """DeleteObjects: each key by itself, and each with its own answer."""
        deletions = documents.read_deletions(await Incoming(call).document())
        await self._objects.list(call.bucket, limit=1)
        ends: list[tuple[str, AwsError | None]] = []
        for at in range(0, len(deletions.entries), _DELETED_AT_ONCE):
            batch = deletions.entries[at : at + _DELETED_AT_ONCE]
            ends += await asyncio.gather(*(self._delete(call.aws.principal, call.bucket, *entry) for entry in batch))
        return Response(documents.deletions_document(ends, deletions.quiet), media_type=XML)

    async def _delete(
        self, principal: Principal, bucket: str, key: str, conditional: bool
    ) -> tuple[str, AwsError | None]:
        try:
            if conditional:
                raise not_offered("A version or a condition in DeleteObjects")
            check_key(key)
            check_name(principal, ObjectName(bucket, key), self._home)
            await self._objects.delete(ObjectName(bucket, key))
        except NoSuchBucket:
            return key, no_such_bucket(bucket)
        except Forbidden as error:
            return key, access_denied(Protocol.REST_XML, error.message)
        except AwsError as error:
            return key, error
        return key, None
