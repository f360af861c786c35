"""Supabase's storage, by its own client (https://supabase.com/docs/reference/python/storage-from-upload)."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from headshot.errors import StorageFailed

TRIES = 3  # an upload takes the place of what is there, so it can be sent twice
PAUSE_SECONDS = 0.2
TIMEOUT = httpx.Timeout(60, connect=5)  # seconds
AGAIN = (429, 500, 502, 503, 504)
SAID_CHARS_MAX = 300
Answer = TypeVar("Answer")


class SupabaseStorage:
    """A private bucket of one project, reached with the project's secret key."""

    name = "supabase"

    def __init__(self, url: str, key: str, bucket: str, url_seconds: int) -> None:
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        client = SyncStorageClient(f"{url}/storage/v1/", headers, http_client=httpx.Client(timeout=TIMEOUT))
        self._bucket = client.from_(bucket)
        self._url_seconds = url_seconds

    def put(self, path: str, content: bytes, media_type: str) -> None:
        options = {"content-type": media_type, "cache-control": "3600", "upsert": "true"}
        _tried("upload_error", "Upload failed", path, lambda: self._bucket.upload(path, content, options))

    def sign(self, path: str) -> str:
        answer = _tried(
            "signed_url_error",
            "Signed URL could not be created",
            path,
            lambda: self._bucket.create_signed_url(path, self._url_seconds),
        )
        return str(answer["signedURL"])


def _tried(error_type: str, what: str, path: str, call: Callable[[], Answer]) -> Answer:
    """What the storage answers; asked again where that may help.

    Raises:
        StorageFailed: of the given type, with what the storage said.
    """
    for left in reversed(range(TRIES)):
        try:
            return call()
        except StorageApiError as error:
            said, final = f"the storage answers {error.status}: {error.message}", _status(error) not in AGAIN
        except httpx.TransportError as error:
            said, final = f"the storage cannot be reached ({type(error).__name__})", False
        except (httpx.HTTPError, KeyError, ValueError) as error:  # an answer that is none of a storage
            said, final = f"the storage answers what cannot be read ({type(error).__name__})", True
        if final or not left:
            raise StorageFailed(error_type, f"{what}: {said[:SAID_CHARS_MAX]}", path=path)
        time.sleep(PAUSE_SECONDS * 2 ** (TRIES - 1 - left))
    raise AssertionError("there is at least one try")


def _status(error: StorageApiError) -> int:
    return int(error.status) if str(error.status).isdigit() else 0
