"""Plans by way of the AWS pipeline: an upload URL, S3's event, the trigger, the function, `results/<jobId>.json`.

Only S3 is asked, by boto3: the same at AWS. The status of a job is what its result says; one that has none a quarter of
an hour after its plan came has failed, so that none is "processing" for ever.
"""

import json
import uuid
from datetime import UTC, datetime

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
URL_SECONDS = 3_600
RESULT_SECONDS_MAX = 900  # longer than the function may run, its queue and a second try


class Pipeline:
    """Of two buckets. Every method answers with a status and JSON, in the words of a job of Seatrial."""

    def __init__(self, plans: str, results: str) -> None:
        self._plans, self._results = plans, results
        self._s3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        self.url = self._s3.meta.endpoint_url.rstrip("/")

    def order(self, file_name: str, media_type: str) -> tuple[int, bytes]:
        """A new `id`, which the trigger makes the `jobId`, and the presigned `url` that takes the plan."""
        if media_type not in SUFFIXES:
            return _told(400, detail=f"a plan is one of {', '.join(SUFFIXES)}")
        job_id = str(uuid.uuid4())
        put = {"Bucket": self._plans, "Key": f"blueprints/{job_id}{SUFFIXES[media_type]}", "ContentType": media_type}
        url = self._s3.generate_presigned_url("put_object", Params=put, ExpiresIn=URL_SECONDS)
        return _told(201, id=job_id, url=url, status="awaiting_upload")

    def job(self, job_id: str) -> tuple[int, bytes]:
        """Its status; of a failed one `error`, with `error_type` and `message`."""
        try:
            result = self._read(job_id)
            if result is None:
                return _told(200, id=job_id, **self._without_result(job_id))
        except (ClientError, BotoCoreError) as error:
            return _told(502, detail=f"The pipeline's buckets cannot be read: {error}")
        if result["status"] == "completed":
            return _told(200, id=job_id, status="succeeded")
        return _told(200, id=job_id, status="failed", error=result)

    def result(self, job_id: str) -> tuple[int, bytes]:
        """The document that the function wrote."""
        try:
            result = self._read(job_id)
        except (ClientError, BotoCoreError) as error:
            return _told(502, detail=f"The pipeline's buckets cannot be read: {error}")
        return _told(404, detail="there is no result yet") if result is None else _told(200, **result)

    def _read(self, job_id: str) -> dict | None:
        try:
            return json.loads(self._s3.get_object(Bucket=self._results, Key=f"results/{job_id}.json")["Body"].read())
        except self._s3.exceptions.NoSuchKey:
            return None

    def _without_result(self, job_id: str) -> dict:
        found = self._s3.list_objects_v2(Bucket=self._plans, Prefix=f"blueprints/{job_id}.").get("Contents", [])
        if not found:
            return {"status": "awaiting_upload"}
        seconds = (datetime.now(UTC) - found[0]["LastModified"]).total_seconds()
        if seconds <= RESULT_SECONDS_MAX:
            return {"status": "processing"}
        said = (
            f"There is no result {seconds:,.0f} s after the plan came; look for the function's failed jobs and its log."
        )
        return {"status": "failed", "error": {"error_type": "result_missing", "message": said}}


def _told(code: int, /, **document: object) -> tuple[int, bytes]:
    return code, json.dumps(document).encode()
