"""S3's error codes with S3's words. Source: "Error responses" in the Amazon S3 API Reference."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from seatrial.domain.limits import OBJECT_PUT_BYTES_MAX
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.aws_errors import AwsError

# code -> (status, message)
_KNOWN: Mapping[str, tuple[int, str]] = {
    "AccessDenied": (403, "Access Denied"),
    "BadDigest": (400, "The Content-MD5 or checksum value that you specified did not match what the server received."),
    "BucketAlreadyOwnedByYou": (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty"),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed size"),
    "IncompleteBody": (400, "The request body terminated unexpectedly"),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
    "InvalidPart": (
        400,
        (
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
            "specified entity tag may not match the part's entity tag."
        ),
    ),
    "InvalidPartOrder": (
        400,
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    ),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long"),
    "MalformedXML": (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "MetadataTooLarge": (400, "Your metadata headers exceed the maximum allowed metadata size"),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchTagSet": (404, "The TagSet does not exist"),
    "NoSuchUpload": (
        404,
        (
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted "
            "or completed."
        ),
    ),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "SignatureDoesNotMatch": (
        403,
        (
            "The request signature we calculated does not match the signature you provided. Check your key and "
            "signing method."
        ),
    ),
    "XAmzContentSHA256Mismatch": (
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
}


def s3_error(code: str, **members: str) -> AwsError:
    """One of the errors whose words never change."""
    status, message = _KNOWN[code]
    return AwsError(code, message, status, members)


def invalid_argument(name: str, value: str, message: str) -> AwsError:
    """A parameter or header has a value that it cannot have."""
    return AwsError("InvalidArgument", message, 400, {"ArgumentName": name, "ArgumentValue": value})


def invalid_request(message: str) -> AwsError:
    """The request contradicts itself or lacks something."""
    return AwsError("InvalidRequest", message, 400)


def not_offered(what: str) -> AwsError:
    """S3 has this, this server does not."""
    return AwsError("NotImplemented", f"{what} is not offered here.", 501)


def illegal_location(region: str) -> AwsError:
    """A bucket can be made in the server's own region only."""
    return AwsError(
        "IllegalLocationConstraintException",
        f"The {region} location constraint is incompatible for the region specific endpoint this request was sent to.",
        400,
    )


def no_such_bucket(bucket: str) -> AwsError:
    """Names the bucket, as S3 does."""
    return s3_error("NoSuchBucket", BucketName=bucket)


def no_such_key(name: ObjectName) -> AwsError:
    """Names the key, as S3 does."""
    return s3_error("NoSuchKey", Key=name.key)


def entity_too_large(size_bytes: int | None = None, limit_bytes: int = OBJECT_PUT_BYTES_MAX) -> AwsError:
    """One request carries at most 5 GiB, or what its URL was made for; larger objects come in parts."""
    members = {"MaxSizeAllowed": str(limit_bytes)}
    if size_bytes is not None:
        members["ProposedSize"] = str(size_bytes)
    return AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400, members)


def precondition_failed(condition: str) -> AwsError:
    """Names the header that did not hold."""
    return s3_error("PreconditionFailed", Condition=condition)


def late_error_body(error: AwsError, request_id: str) -> bytes:
    """An error as a document without its XML declaration: for answers that had begun as a success."""
    root = Element("Error")
    for name, value in {"Code": error.code, "Message": error.message, "RequestId": request_id}.items():
        SubElement(root, name).text = value
    raw: bytes = tostring(root, encoding="utf-8", xml_declaration=False)
    return raw
