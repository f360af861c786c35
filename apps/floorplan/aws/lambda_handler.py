"""The floor plan's rooms as an AWS Lambda function: a plan in a bucket in, `results/<jobId>.json` out.

The event is `{"bucket", "key", "jobId", "timestamp"}`, as a trigger sends it, or S3's own event record. The bucket of
the results is RESULTS_BUCKET_NAME. A plan that cannot be read raises `InputError`, with `error_type` and `field`.
"""

import json
import os
import tempfile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_plus

import boto3
from botocore.exceptions import ClientError
from floorplan.errors import InputError
from floorplan.handler import FloorPlan

PLANS = FloorPlan()
RESULTS_BUCKET = os.environ["RESULTS_BUCKET_NAME"]  # without it the function does not load


def handler(event, context):
    """One result for each plan that the event tells of."""
    results = [_found(plan) for plan in _plans(event)]
    return results[0] if "Records" not in event else {"results": results}


def _plans(event):
    if "Records" in event:
        for record in event["Records"]:
            key = unquote_plus(record["s3"]["object"]["key"])
            yield {"bucket": record["s3"]["bucket"]["name"], "key": key, "jobId": PurePosixPath(key).stem}
        return
    for name in ("bucket", "key"):
        if not isinstance(event.get(name), str) or not event[name]:
            said = f"The event has no {name!r}; it is {{bucket, key, jobId, timestamp}} or an event record of S3."
            raise InputError("missing_field", said, name)
    yield {"jobId": PurePosixPath(event["key"]).stem, **event}


def _found(plan):
    s3 = boto3.client("s3")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan")
        try:
            s3.download_file(plan["bucket"], plan["key"], str(path))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            said = f"s3://{plan['bucket']}/{plan['key']} cannot be read ({code})."
            raise InputError("object_not_found", said, "key") from None
        answer = PLANS.find_rooms(path)
    overlay, job_id = answer.pop("overlay"), plan["jobId"]
    places = {"result": f"results/{job_id}.json", "overlay": f"results/{job_id}-overlay.png"}
    told = {"jobId": job_id, "status": "completed", "source": {"bucket": plan["bucket"], "key": plan["key"]}, **answer}
    s3.put_object(Bucket=RESULTS_BUCKET, Key=places["overlay"], Body=overlay, ContentType="image/png")
    body = json.dumps(told).encode()  # the result last: who sees it finds the overlay
    s3.put_object(Bucket=RESULTS_BUCKET, Key=places["result"], Body=body, ContentType="application/json")
    return {"jobId": job_id, "room_count": answer["room_count"], "bucket": RESULTS_BUCKET, **places}
