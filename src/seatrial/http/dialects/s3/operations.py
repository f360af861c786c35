"""Which operation a request means. A sub-resource that is not offered is never taken for a plain operation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from seatrial.http.dialects.s3.address import Address
from seatrial.http.dialects.s3.errors import invalid_argument, not_offered, s3_error


class Operation(StrEnum):
    """Those that are offered, by S3's names."""

    LIST_BUCKETS = "ListBuckets"
    CREATE_BUCKET = "CreateBucket"
    HEAD_BUCKET = "HeadBucket"
    DELETE_BUCKET = "DeleteBucket"
    GET_BUCKET_LOCATION = "GetBucketLocation"
    GET_BUCKET_VERSIONING = "GetBucketVersioning"
    GET_BUCKET_ACL = "GetBucketAcl"
    GET_BUCKET_TAGGING = "GetBucketTagging"
    GET_BUCKET_NOTIFICATION = "GetBucketNotificationConfiguration"
    PUT_BUCKET_NOTIFICATION = "PutBucketNotificationConfiguration"
    LIST_OBJECTS = "ListObjects"
    LIST_MULTIPART_UPLOADS = "ListMultipartUploads"
    DELETE_OBJECTS = "DeleteObjects"
    PUT_OBJECT = "PutObject"
    COPY_OBJECT = "CopyObject"
    GET_OBJECT = "GetObject"
    HEAD_OBJECT = "HeadObject"
    DELETE_OBJECT = "DeleteObject"
    GET_OBJECT_ACL = "GetObjectAcl"
    GET_OBJECT_TAGGING = "GetObjectTagging"
    CREATE_MULTIPART_UPLOAD = "CreateMultipartUpload"
    UPLOAD_PART = "UploadPart"
    UPLOAD_PART_COPY = "UploadPartCopy"
    LIST_PARTS = "ListParts"
    COMPLETE_MULTIPART_UPLOAD = "CompleteMultipartUpload"
    ABORT_MULTIPART_UPLOAD = "AbortMultipartUpload"


# (method, sub-resource) on the service, a bucket, an object
_ON_SERVICE = {("GET", ""): Operation.LIST_BUCKETS}
_ON_BUCKET = {
    ("GET", ""): Operation.LIST_OBJECTS,
    ("HEAD", ""): Operation.HEAD_BUCKET,
    ("PUT", ""): Operation.CREATE_BUCKET,
    ("DELETE", ""): Operation.DELETE_BUCKET,
    ("GET", "location"): Operation.GET_BUCKET_LOCATION,
    ("GET", "versioning"): Operation.GET_BUCKET_VERSIONING,
    ("GET", "acl"): Operation.GET_BUCKET_ACL,
    ("GET", "tagging"): Operation.GET_BUCKET_TAGGING,
    ("GET", "notification"): Operation.GET_BUCKET_NOTIFICATION,
    ("PUT", "notification"): Operation.PUT_BUCKET_NOTIFICATION,
    ("GET", "uploads"): Operation.LIST_MULTIPART_UPLOADS,
    ("POST", "delete"): Operation.DELETE_OBJECTS,
}
_ON_OBJECT = {
    ("GET", ""): Operation.GET_OBJECT,
    ("HEAD", ""): Operation.HEAD_OBJECT,
    ("PUT", ""): Operation.PUT_OBJECT,
    ("DELETE", ""): Operation.DELETE_OBJECT,
    ("GET", "acl"): Operation.GET_OBJECT_ACL,
    ("GET", "tagging"): Operation.GET_OBJECT_TAGGING,
    ("POST", "uploads"): Operation.CREATE_MULTIPART_UPLOAD,
    ("PUT", "uploadId"): Operation.UPLOAD_PART,
    ("GET", "uploadId"): Operation.LIST_PARTS,
    ("POST", "uploadId"): Operation.COMPLETE_MULTIPART_UPLOAD,
    ("DELETE", "uploadId"): Operation.ABORT_MULTIPART_UPLOAD,
}
_COPIES = {
    Operation.PUT_OBJECT: Operation.COPY_OBJECT,
    Operation.UPLOAD_PART: Operation.UPLOAD_PART_COPY,
}

# Everything in a query that is a parameter; what else has no value is a sub-resource.
_PARAMETER = re.compile(
    "bucket-region|continuation-token|delimiter|encoding-type|fetch-owner|key-marker|list-type|marker|max-buckets|"
    "max-keys|max-parts|max-uploads|part-number-marker|partNumber|prefix|start-after|upload-id-marker|versionId|"
    "x-id|Expires|AWSAccessKeyId|Signature|response-.*|x-amz-.*|X-Amz-.*"
)
_SUB_RESOURCE = re.compile(
    "accelerate|acl|analytics|attributes|cors|delete|encryption|intelligent-tiering|inventory|legal-hold|lifecycle|"
    "location|logging|metadataConfiguration|metadataTable|metrics|notification|object-lock|ownershipControls|policy|"
    "policyStatus|publicAccessBlock|renameObject|replication|requestPayment|restore|retention|select|select-type|"
    "session|tagging|torrent|uploadId|uploads|versioning|versions|website"
)


def read_operation(method: str, address: Address, words: Mapping[str, str]) -> Operation:
    """The operation that is meant.

    Raises:
        AwsError: NotImplemented, MethodNotAllowed, InvalidArgument.
    """
    sub_resources = [name for name, value in address.query.items() if _is_sub_resource(name, value)]
    offered = _ON_OBJECT if address.key is not None else _ON_BUCKET if address.bucket is not None else _ON_SERVICE
    operation = offered.get((method, "+".join(sub_resources)))
    if operation is None:
        raise _refusal(method, sub_resources)
    version = address.query.get("versionId", "null")
    if version not in ("", "null"):
        raise invalid_argument("versionId", version, "Invalid version id specified")
    if "partNumber" in address.query and not sub_resources:
        raise not_offered("Reading one part of an object")
    return _COPIES.get(operation, operation) if "x-amz-copy-source" in words else operation


def _is_sub_resource(name: str, value: str) -> bool:
    return bool(_SUB_RESOURCE.fullmatch(name)) or (not value and not _PARAMETER.fullmatch(name))


def _refusal(method: str, sub_resources: list[str]) -> Exception:
    if sub_resources:
        return not_offered(f"{method} ?{'&'.join(sub_resources)}")
    if method in ("POST", "OPTIONS"):
        return not_offered(f"{method} without a sub-resource (such as a form upload)")
    return s3_error("MethodNotAllowed", Method=method)
