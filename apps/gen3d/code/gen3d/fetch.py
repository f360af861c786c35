"""The bytes of a media field. A server may have read the object for the handler; otherwise the handler reads it."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from gen3d.errors import BadRequest

BUCKET = "gen3d-data-bucket"


def media(request: Mapping[str, Any], field: str) -> bytes:
    """The content of a field: base64 text or a data URL in it, or the object that `<field>_s3_key` names.

    Raises:
        BadRequest: `missing_field`, `image_undecodable` or `mask_undecodable`, `object_not_found`.
    """
    text = request.get(field)
    if isinstance(text, str) and text:
        return _decoded(text, field)
    key = request.get(f"{field}_s3_key")
    if isinstance(key, str) and key:
        return _object(str(request.get("bucket") or BUCKET), key, field)
    said = f"The request has no {field}: give base64 in {field!r}, or an object's key in '{field}_s3_key'."
    raise BadRequest("missing_field", said, field)


def _decoded(text: str, field: str) -> bytes:
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{field}_undecodable", f"The {field} is not base64 ({error}).", field) from None


def _object(bucket: str, key: str, field: str) -> bytes:
    import boto3
    from botocore.exceptions import ClientError

    try:
        return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise BadRequest(
            "object_not_found", f"s3://{bucket}/{key} cannot be read ({code}).", f"{field}_s3_key"
        ) from None
