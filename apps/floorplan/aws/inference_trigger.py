"""The function in front: each plan that comes to the bucket is handed on, as a job of its own.

ML_FUNCTION_NAME is the function that does the work. The plan's name, less its suffix, is its `jobId`.
"""

import json
import os
from pathlib import PurePosixPath
from urllib.parse import unquote_plus

import boto3


class NoRecord(ValueError):
    """The event is none of S3's; no retry can help."""

    error_type = "missing_field"
    field = "Records"


def handler(event, context):
    """Invokes the other function once for each record."""
    try:
        payloads = [_payload(record) for record in event["Records"]]
    except (KeyError, TypeError) as error:
        raise NoRecord(f"The event is no event record of S3 ({type(error).__name__}: {error}).") from None
    client = boto3.client("lambda")
    for payload in payloads:
        client.invoke(FunctionName=os.environ["ML_FUNCTION_NAME"], InvocationType="Event", Payload=payload)
    return {"invoked": len(payloads)}


def _payload(record):
    key = unquote_plus(record["s3"]["object"]["key"])
    told = {"bucket": record["s3"]["bucket"]["name"], "key": key, "jobId": PurePosixPath(key).stem}
    return json.dumps({**told, "timestamp": record["eventTime"]}).encode()
