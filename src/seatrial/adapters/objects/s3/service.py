"""Calls of an S3 service through botocore, in threads; its refusals in the words of our port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from seatrial.domain.limits import S3_CALLS_AT_ONCE_MAX, S3_CONNECT_SECONDS_MAX, S3_QUIET_READ_SECONDS_MAX
from seatrial.ports.object_store import (
    BucketExists,
    BucketNotEmpty,
    ConditionFailed,
    NoSuchBucket,
    NoSuchObject,
    ObjectError,
    ObjectRefused,
)
from seatrial.ports.storage import StoreUnavailable

T = TypeVar("T")

_TRIES = 3
_WORDS: dict[str, type[ObjectError]] = {
    "NoSuchBucket": NoSuchBucket,
    "NoSuchKey": NoSuchObject,
    "PreconditionFailed": ConditionFailed,
    "BucketAlreadyOwnedByYou": BucketExists,
    "BucketAlreadyExists": BucketExists,
    "BucketNotEmpty": BucketNotEmpty,
}
_TRY_AGAIN = frozenset({"ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "SlowDown", "Throttling"})


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach the service. `endpoint` None: AWS. `credentials` names a file in the form of ~/.aws/credentials;
    None: the usual AWS variables, files and roles."""

    region: str
    endpoint: str | None = None
    credentials: Path | None = None


class S3Service:
    """One client for all calls. Called from the event loop; the calls themselves run in threads."""

    def __init__(self, access: S3Access) -> None:
        session = botocore.session.Session()
        if access.credentials is not None:
            session.set_config_variable("credentials_file", str(access.credentials))
        # AWS_ENDPOINT_URL may well name this very server: only the setting counts.
        session.set_config_variable("ignore_configured_endpoint_urls", True)
        config = Config(
            region_name=access.region,
            connect_timeout=S3_CONNECT_SECONDS_MAX,
            read_timeout=S3_QUIET_READ_SECONDS_MAX,
            max_pool_connections=S3_CALLS_AT_ONCE_MAX,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            s3={"addressing_style": "path" if access.endpoint else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self.access = access
        self.session = session
        self._client: Any = session.create_client("s3", endpoint_url=access.endpoint, config=config)
        self._threads = ThreadPoolExecutor(S3_CALLS_AT_ONCE_MAX, thread_name_prefix="s3")

    async def call(self, operation: str, **given: Any) -> dict[str, Any]:
        """The answer of an operation, by its name in snake case; parameters that are None are left out.

        Raises:
            ObjectError, StoreUnavailable
        """
        chosen = {name: value for name, value in given.items() if value is not None}
        try:
            answer: dict[str, Any] = await self.run(partial(getattr(self._client, operation), **chosen))
        except ClientError as error:
            raise await self._refusal(error, given.get("Bucket")) from error
        except ParamValidationError as error:
            raise NoSuchBucket(str(given.get("Bucket"))) from error  # what it validates is the bucket's name
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise ObjectRefused(str(error)) from error
        except BotoCoreError as error:
            raise StoreUnavailable(f"the object store does not answer: {error}") from error
        return answer

    async def run(self, work: Callable[[], T]) -> T:
        """Work that waits for the network, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def has_bucket(self, bucket: str) -> bool:
        """Whether the bucket is there; one that may not be looked at is."""
        try:
            await self.run(partial(self._client.head_bucket, Bucket=bucket))
        except ClientError as error:
            return _status(error) != 404
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError):
            return True  # whoever asks for something in it is told
        except ParamValidationError:
            return False
        except BotoCoreError as error:
            raise StoreUnavailable(f"the object store does not answer: {error}") from error
        return True

    def close(self) -> None:
        """Wait for the threads."""
        self._threads.shutdown()
        self._client.close()

    async def _refusal(self, error: ClientError, bucket: str | None) -> ObjectError | StoreUnavailable:
        """What a refusal means. A 404 without a word, or a failure of the service itself, may be a missing bucket."""
        code, status = str(error.response.get("Error", {}).get("Code", "")), _status(error)
        known = _WORDS.get(code) or (ConditionFailed if status == 412 else None)
        if known is not None and known is not NoSuchObject:
            return known(str(bucket) if known in (NoSuchBucket, BucketExists, BucketNotEmpty) else str(error))
        if bucket is not None and (status >= 500 or status == 404) and not await self.has_bucket(bucket):
            return NoSuchBucket(bucket)
        if known is NoSuchObject or status == 404:
            return NoSuchObject(str(error))
        if status >= 500 or status == 429 or code in _TRY_AGAIN:
            return StoreUnavailable(f"the object store does not do it now: {error}")
        return ObjectRefused(str(error))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
