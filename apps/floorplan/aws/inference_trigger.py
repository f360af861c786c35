"""The function in front: each plan that comes to the bucket is handed on, as a job of its own.

ML_FUNCTION_NAME is the function that does the work.
"""

import json
import os
from pathlib import PurePosixPath
from urllib.parse import unquote_plus

import boto3


def handler(event, context):
    """Invokes the other function once for each record."""
    client = boto3.client("lambda")
    for record in event["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        told = {"bucket": record["s3"]["bucket"]["name"], "key": key, "jobId": PurePosixPath(key).stem}
        payload = json.dumps({**told, "timestamp": record["eventTime"]}).encode()
        client.invoke(FunctionName=os.environ["ML_FUNCTION_NAME"], InvocationType="Event", Payload=payload)
    return {"invoked": len(event["Records"])}
