"""What a worker's credentials reach: of the server's own buckets its endpoint's part, of all others everything."""

from __future__ import annotations

from seatrial.domain.credentials import Principal
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.s3.address import read_copy_source
from seatrial.http.dialects.s3.errors import s3_error
from seatrial.http.dialects.s3.operations import Operation
from seatrial.http.doors.s3.call import S3Call

OWN_PREFIX = "seatrial-"  # how the names of the server's own buckets begin
_OWNERS_ALONE = frozenset({Operation.CREATE_BUCKET, Operation.DELETE_BUCKET})
_LISTINGS = frozenset({Operation.LIST_OBJECTS, Operation.LIST_MULTIPART_UPLOADS})
_COPIES = frozenset({Operation.COPY_OBJECT, Operation.UPLOAD_PART_COPY})


def check_reach(call: S3Call, operation: Operation) -> None:
    """Everything a request names but the keys in a DeleteObjects, which are refused one by one.

    Raises:
        AwsError: AccessDenied.
    """
    principal = call.aws.principal
    if principal.endpoint is None:
        return
    if operation in _OWNERS_ALONE:
        raise s3_error("AccessDenied")
    if operation in _LISTINGS:
        check_name(principal, ObjectName(call.bucket, call.address.query.get("prefix", "")))
    if call.address.key is not None:
        check_name(principal, call.name)
    if operation in _COPIES:
        check_name(principal, read_copy_source(call.words["x-amz-copy-source"]))


def check_name(principal: Principal, name: ObjectName) -> None:
    """Of one object, or of all whose keys begin so. Raises AwsError: AccessDenied."""
    if principal.endpoint is None or not name.bucket.startswith(OWN_PREFIX):
        return
    if not name.key.startswith(f"{principal.endpoint}/"):
        raise s3_error("AccessDenied")
