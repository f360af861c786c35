"""What a worker's credentials reach: of the server's own buckets its endpoint's part, of all others everything."""

from __future__ import annotations

from seatrial.domain.credentials import Principal
from seatrial.domain.home import OWN_PREFIX, Home
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.s3.address import read_copy_source
from seatrial.http.dialects.s3.errors import s3_error
from seatrial.http.dialects.s3.operations import Operation
from seatrial.http.doors.s3.call import S3Call

_OWNERS_ALONE = frozenset({Operation.CREATE_BUCKET, Operation.DELETE_BUCKET})
_LISTINGS = frozenset({Operation.LIST_OBJECTS, Operation.LIST_MULTIPART_UPLOADS})
_COPIES = frozenset({Operation.COPY_OBJECT, Operation.UPLOAD_PART_COPY})


def check_reach(call: S3Call, operation: Operation, home: Home | None) -> None:
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
        check_name(principal, ObjectName(call.bucket, call.address.query.get("prefix", "")), home)
    if call.address.key is not None:
        check_name(principal, call.name, home)
    if operation in _COPIES:
        check_name(principal, read_copy_source(call.words["x-amz-copy-source"]), home)


def check_name(principal: Principal, name: ObjectName, home: Home | None) -> None:
    """Of one object, or of all whose keys begin so. Raises AwsError: AccessDenied."""
    if principal.endpoint is not None and home is not None and _may_hold(name, home):
        raise s3_error("AccessDenied")
    name = name if home is None else home.own(name)
    if principal.endpoint is None or not name.bucket.startswith(OWN_PREFIX):
        return
    if not name.key.startswith(f"{principal.endpoint}/"):
        raise s3_error("AccessDenied")


def _may_hold(name: ObjectName, home: Home) -> bool:
    """True for what lies in the home and is not plainly below one of the server's own buckets there."""
    in_home = name.bucket == home.bucket and (name.key.startswith(home.prefix) or home.prefix.startswith(name.key))
    return in_home and home.own(name) == name
