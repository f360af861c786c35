"""What a principal may do to which bucket and object.

Of the server's own buckets, who reaches some endpoints only reaches their part, whose keys begin with `NAME/`.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.domain.access import outside_object, reaches_object, require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.home import Home, is_own
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.s3.address import read_copy_source
from seatrial.http.dialects.s3.operations import Operation
from seatrial.http.doors.s3.call import S3Call

_LOOK = (KeyScope.READ, KeyScope.OBJECTS)
_CHANGE = (KeyScope.SUBMIT, KeyScope.DEPLOY, KeyScope.OBJECTS)
_KEEP = (KeyScope.DEPLOY,)
SCOPES: Mapping[Operation, tuple[KeyScope, ...]] = {
    Operation.LIST_BUCKETS: _LOOK,
    Operation.CREATE_BUCKET: _KEEP,
    Operation.HEAD_BUCKET: _LOOK,
    Operation.DELETE_BUCKET: _KEEP,
    Operation.GET_BUCKET_LOCATION: _LOOK,
    Operation.GET_BUCKET_VERSIONING: _LOOK,
    Operation.GET_BUCKET_ACL: _LOOK,
    Operation.GET_BUCKET_TAGGING: _LOOK,
    Operation.GET_BUCKET_NOTIFICATION: (KeyScope.READ, KeyScope.DEPLOY),
    Operation.PUT_BUCKET_NOTIFICATION: _KEEP,
    Operation.LIST_OBJECTS: _LOOK,
    Operation.LIST_MULTIPART_UPLOADS: _LOOK,
    Operation.DELETE_OBJECTS: _CHANGE,
    Operation.PUT_OBJECT: _CHANGE,
    Operation.COPY_OBJECT: _CHANGE,
    Operation.GET_OBJECT: _LOOK,
    Operation.HEAD_OBJECT: _LOOK,
    Operation.DELETE_OBJECT: _CHANGE,
    Operation.GET_OBJECT_ACL: _LOOK,
    Operation.GET_OBJECT_TAGGING: _LOOK,
    Operation.CREATE_MULTIPART_UPLOAD: _CHANGE,
    Operation.UPLOAD_PART: _CHANGE,
    Operation.UPLOAD_PART_COPY: _CHANGE,
    Operation.LIST_PARTS: (*_LOOK, *_CHANGE),
    Operation.COMPLETE_MULTIPART_UPLOAD: _CHANGE,
    Operation.ABORT_MULTIPART_UPLOAD: _CHANGE,
}
_LISTINGS = frozenset({Operation.LIST_OBJECTS, Operation.LIST_MULTIPART_UPLOADS})
_COPIES = frozenset({Operation.COPY_OBJECT, Operation.UPLOAD_PART_COPY})


def check_reach(call: S3Call, operation: Operation, home: Home | None) -> None:
    """Everything a request names but the keys in a DeleteObjects, which are refused one by one.

    Raises:
        Forbidden
    """
    principal = call.aws.principal
    bucket = call.address.bucket
    scopes = SCOPES[operation]
    by_key = bucket is not None and is_own(bucket) and scopes is not _KEEP
    require(principal, *scopes, bucket=None if by_key else bucket)
    if operation in _LISTINGS:
        check_name(principal, ObjectName(call.bucket, call.address.query.get("prefix", "")), home)
    if call.address.key is not None:
        check_name(principal, call.name, home)
    if operation in _COPIES:
        require(principal, *_LOOK)
        check_name(principal, read_copy_source(call.words["x-amz-copy-source"]), home)


def check_name(principal: Principal, name: ObjectName, home: Home | None) -> None:
    """Of one object, or of all whose keys begin so. Raises Forbidden."""
    if not reaches_object(principal.reach, name, home):
        raise outside_object(principal.reach, name)
