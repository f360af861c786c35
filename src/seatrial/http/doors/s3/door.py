"""Reads a verified S3 request, has it done, and turns refusals into S3's own errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from starlette.responses import Response

from seatrial.domain.errors import SeatrialError
from seatrial.http.aws_request import AwsRequest
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3 import headers, multipart
from seatrial.http.dialects.s3.address import read_address
from seatrial.http.dialects.s3.errors import (
    entity_too_large,
    no_such_bucket,
    no_such_key,
    precondition_failed,
    s3_error,
)
from seatrial.http.dialects.s3.operations import Operation, read_operation
from seatrial.http.doors.s3.buckets import Buckets
from seatrial.http.doors.s3.call import S3Call
from seatrial.http.doors.s3.notifications import Notifications
from seatrial.http.doors.s3.objects import Objects
from seatrial.http.doors.s3.reach import check_reach
from seatrial.http.doors.s3.uploads import Uploads
from seatrial.http.services import Services
from seatrial.ports.object_store import (
    BucketNotEmpty,
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectError,
    ObjectRefused,
    TooLarge,
)

Act = Callable[[S3Call], Awaitable[Response]]


class S3Door:
    """One callable for the whole service; who reaches what, `reach` says."""

    def __init__(self, services: Services) -> None:
        credentials = services.keyring.credentials
        self._owner = credentials.account_id
        self._home = services.home
        self._own_host = urlsplit(services.base_url).hostname or ""
        self._acts = _acts(
            Buckets(services.objects, self._owner, credentials.region, services.home),
            Objects(services.objects, services.awaited, self._owner),
            Uploads(services.multipart, services.objects, self._owner, services.base_url),
            Notifications(services),
        )

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer. Raises AwsError, Forbidden."""
        request = call.request
        raw_query = request.scope["query_string"]
        host = request.headers.get("host", "")
        address = read_address(host, request.scope["raw_path"], raw_query, self._own_host)
        words = headers.read_words(request.headers, raw_query)
        headers.refuse_unoffered(words, self._owner)
        operation = read_operation(request.method, address, words)
        s3_call = S3Call(call, address, words)
        check_reach(s3_call, operation, self._home)
        try:
            response = await self._acts[operation](s3_call)
        except ObjectError as error:
            raise _as_s3(error, s3_call) from error
        except SeatrialError as error:
            raise multipart.as_s3(error) from error
        response.headers["x-amz-request-id"] = call.request_id
        return response


def _acts(
    buckets: Buckets, objects: Objects, uploads: Uploads, notifications: Notifications
) -> Mapping[Operation, Act]:
    return {
        Operation.GET_BUCKET_NOTIFICATION: notifications.get,
        Operation.PUT_BUCKET_NOTIFICATION: notifications.put,
        Operation.LIST_BUCKETS: buckets.list_buckets,
        Operation.CREATE_BUCKET: buckets.create,
        Operation.HEAD_BUCKET: buckets.head,
        Operation.DELETE_BUCKET: buckets.delete,
        Operation.GET_BUCKET_LOCATION: buckets.location,
        Operation.GET_BUCKET_VERSIONING: buckets.versioning,
        Operation.GET_BUCKET_ACL: buckets.access,
        Operation.GET_BUCKET_TAGGING: buckets.tagging,
        Operation.LIST_OBJECTS: buckets.list_objects,
        Operation.DELETE_OBJECTS: buckets.delete_objects,
        Operation.PUT_OBJECT: objects.put,
        Operation.COPY_OBJECT: objects.copy,
        Operation.GET_OBJECT: objects.get,
        Operation.HEAD_OBJECT: objects.head,
        Operation.DELETE_OBJECT: objects.delete,
        Operation.GET_OBJECT_ACL: objects.access,
        Operation.GET_OBJECT_TAGGING: objects.tagging,
        Operation.CREATE_MULTIPART_UPLOAD: uploads.begin,
        Operation.UPLOAD_PART: uploads.put_part,
        Operation.UPLOAD_PART_COPY: uploads.copy_part,
        Operation.LIST_PARTS: uploads.list_parts,
        Operation.LIST_MULTIPART_UPLOADS: uploads.list_uploads,
        Operation.COMPLETE_MULTIPART_UPLOAD: uploads.complete,
        Operation.ABORT_MULTIPART_UPLOAD: uploads.abort,
    }


def _as_s3(error: ObjectError, call: S3Call) -> AwsError:
    """The store's refusal in S3's words."""
    if isinstance(error, NoSuchBucket):
        return no_such_bucket(call.bucket)
    if isinstance(error, NoSuchObject):
        return no_such_key(call.name)
    if isinstance(error, ConditionFailed):
        return precondition_failed("If-None-Match" if "if-none-match" in call.words else "If-Match")
    if isinstance(error, ObjectRefused):
        return s3_error("AccessDenied")
    if isinstance(error, TooLarge):
        return entity_too_large()
    if isinstance(error, BucketNotEmpty):
        return s3_error("BucketNotEmpty", BucketName=call.bucket)
    raise error
