"""The floor plan's rooms as an AWS Lambda function: a plan in a bucket in, `results/<jobId>.json` out.

The event is `{"bucket", "key", "jobId", "timestamp"}`, as a trigger sends it, or S3's own event record. The bucket of
the results is RESULTS_BUCKET_NAME. A plan that cannot be used raises `InputError`, with `error_type` and `field`, and
its result says `"status": "failed"` with the same words: who waits for the result hears of either end.
"""

import json
import os
import tempfile
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from floorplan.errors import InputError
from floorplan.handler import FloorPlan
from plan_event import plans_of

PLANS = FloorPlan()
RESULTS_BUCKET = os.environ["RESULTS_BUCKET_NAME"]  # without it the function does not load


class ResultsUnwritable(RuntimeError):
    """The bucket of the results takes nothing: a fault of the deployment, and of no plan."""

    error_type = "results_unwritable"


def handler(event, context):
    """One result for each plan that the event tells of. If any has failed, the first failure is raised at the end."""
    s3 = boto3.client("s3")
    results, failures = [], []
    for plan in plans_of(event):
        try:
            results.append(_completed(s3, plan))
        except ResultsUnwritable:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is written down, and raised below
            _write_result(s3, plan, _failure(error))
            failures.append(error)
    if failures:
        raise failures[0]
    return {"results": results} if "Records" in event else results[0]


def _completed(s3, plan):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan")
        _fetch(s3, plan, path)
        answer = PLANS.find_rooms(path)
    overlay = f"results/{plan.job_id}-overlay.png"
    _put(s3, overlay, answer.pop("overlay"), "image/png")
    result = _write_result(s3, plan, {"status": "completed", **answer})  # the last: who sees it finds the overlay
    told = {"jobId": plan.job_id, "room_count": answer["room_count"], "bucket": RESULTS_BUCKET}
    return {**told, "result": result, "overlay": overlay}


def _failure(error):
    told = {"status": "failed", "error_type": getattr(error, "error_type", type(error).__name__), "message": str(error)}
    return told | ({"field": error.field} if isinstance(error, InputError) else {})


def _fetch(s3, plan, path):
    try:
        s3.download_file(plan.bucket, plan.key, str(path))
    except ClientError as error:
        where, code = f"s3://{plan.bucket}/{plan.key}", error.response["Error"]["Code"]
        said = f"{where} cannot be read ({code}). Put the plan there: aws s3 cp PLAN '{where}'."
        raise InputError("object_not_found", said, "key") from None


def _write_result(s3, plan, told):
    key = f"results/{plan.job_id}.json"
    source = {"bucket": plan.bucket, "key": plan.key}
    _put(s3, key, json.dumps({"jobId": plan.job_id, "source": source, **told}).encode(), "application/json")
    return key


def _put(s3, key, body, media_type):
    try:
        s3.put_object(Bucket=RESULTS_BUCKET, Key=key, Body=body, ContentType=media_type)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        remedy = f"create it (aws s3 mb s3://{RESULTS_BUCKET}), or correct RESULTS_BUCKET_NAME"
        said = f"The bucket of the results, {RESULTS_BUCKET}, takes nothing ({code}): {remedy}."
        raise ResultsUnwritable(said) from None
