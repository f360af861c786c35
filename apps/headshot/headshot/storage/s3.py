"""S3 and what speaks its API, with the usual variables of AWS: credentials, region, `AWS_ENDPOINT_URL`."""

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from headshot.errors import NotReady, StorageFailed

TRIES = 3
TIMEOUTS = {"connect_timeout": 5, "read_timeout": 60}  # seconds


class S3Storage:
    """A private bucket."""

    name = "s3"

    def __init__(self, bucket: str, url_seconds: int) -> None:
        session = boto3.Session()
        if session.get_credentials() is None:
            remedy = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role."
            raise NotReady("AWS_ACCESS_KEY_ID environment variable is required", remedy)
        retries = {"total_max_attempts": TRIES, "mode": "standard"}
        config = Config(
            signature_version="s3v4", retries=retries, request_checksum_calculation="when_required", **TIMEOUTS
        )
        self._client = session.client("s3", config=config, region_name=session.region_name or "us-east-1")
        self._bucket = bucket
        self._url_seconds = url_seconds

    def put(self, path: str, content: bytes, media_type: str) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=path, Body=content, ContentType=media_type)
        except (BotoCoreError, ClientError) as error:
            raise StorageFailed("upload_error", f"Upload failed: {error}", path=path) from error

    def sign(self, path: str) -> str:
        named = {"Bucket": self._bucket, "Key": path}
        try:
            return str(self._client.generate_presigned_url("get_object", Params=named, ExpiresIn=self._url_seconds))
        except (BotoCoreError, ClientError) as error:
            said = f"Signed URL could not be created: {error}"
            raise StorageFailed("signed_url_error", said, path=path) from error
