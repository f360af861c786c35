"""Objects for buckets of clients, over S3's wire, with the guard of `guarded.py`.

One PUT with a presigned URL (Signature Version 4, addressed by path, as the services know that are compatible with
S3). The region is read from the address as runpod/runpod-python 1.12 does (`rp_upload.extract_region_from_url`).
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

import httpx
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.domain.client_bucket import ClientBucket
from seatrial.domain.errors import CLIENT_BUCKET_REFUSED, BadInput, SeatrialError
from seatrial.domain.limits import CLIENT_BUCKET_PAUSE_SECONDS, CLIENT_BUCKET_TRIES_MAX, CLIENT_BUCKET_URL_SECONDS

_REGION = re.compile(r"(?:^|\.)s3[.-]([a-z0-9-]+)\.|^([a-z0-9-]+)\.digitaloceanspaces\.com$")
_REGION_DEFAULT = "us-east-1"
_SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a try failed; `passing`: another may succeed."""

    words: str
    passing: bool


class GuardedBuckets:
    """The ClientBuckets. `urls` judges the addresses, and its connections are used."""

    def __init__(self, urls: GuardedUrls) -> None:
        self._urls = urls

    async def put(self, bucket: ClientBucket, key: str, content: bytes, media_type: str) -> str:
        """See the port."""
        fault = await self._tried(bucket, key, content, media_type)
        for again in range(CLIENT_BUCKET_TRIES_MAX - 1):
            if fault is None or not fault.passing:
                break
            await asyncio.sleep(CLIENT_BUCKET_PAUSE_SECONDS * 2**again)
            fault = await self._tried(bucket, key, content, media_type)
        if fault is None:
            return _signed(bucket, "GET", key)
        message = f"The output cannot be put to {key!r} in the client's bucket {bucket.bucket!r}: {fault.words}"
        raise SeatrialError(CLIENT_BUCKET_REFUSED, message, field="s3Config")

    async def _tried(self, bucket: ClientBucket, key: str, content: bytes, media_type: str) -> _Fault | None:
        try:
            url = _signed(bucket, "PUT", key)
            response = await self._urls.send(url, "PUT", content, {"Content-Type": media_type})
            try:
                body = await anext(response.aiter_raw(), b"")
            finally:
                await response.aclose()
        except BadInput as error:
            return _Fault(error.message, passing="cannot be connected to" in error.message)
        except (httpx.HTTPError, ValueError) as error:
            return _Fault(str(error) or type(error).__name__, passing=isinstance(error, httpx.HTTPError))
        if response.status_code == httpx.codes.OK:
            return None
        said = body[:_SHOWN_CHARS].decode(errors="replace")
        return _Fault(f"it answers {response.status_code}: {said}", passing=response.status_code >= 500)


def _signed(bucket: ClientBucket, method: Literal["GET", "PUT"], key: str) -> str:
    url = f"{bucket.endpoint_url.rstrip('/')}/{quote(bucket.bucket)}/{quote(key, safe='/~')}"
    found = _REGION.search(urlsplit(url).hostname or "")
    region = (found[1] or found[2]) if found else _REGION_DEFAULT
    request = AWSRequest(method, url)
    keys = Credentials(bucket.access_key_id, bucket.secret_access_key)
    S3SigV4QueryAuth(keys, "s3", region, expires=CLIENT_BUCKET_URL_SECONDS).add_auth(request)
    return str(request.url)
