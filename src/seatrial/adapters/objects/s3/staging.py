"""Staging: bytes that are durable in S3 under a key that nobody was told, made by obstore.

Keys are `<home>/staging/<store incarnation>/<word>/<upload>`. The word is the claim's token (or the job's id for its
failure object), so that what nobody needs any longer is found by asking the job store; it is `door-…` for what
clients send, which gets its name at once. Each call makes a new key.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from seatrial.adapters.objects.s3.service import S3Access, S3Service
from seatrial.domain.home import Home
from seatrial.domain.limits import (
    GIB,
    MIB,
    S3_CONNECT_SECONDS_MAX,
    S3_QUIET_READ_SECONDS_MAX,
    S3_STAGE_CHUNK_BYTES,
    S3_STAGE_CHUNKS_AT_ONCE_MAX,
    STREAM_CHUNK_BYTES,
)
from seatrial.domain.objects import Sealed
from seatrial.ports.object_store import TooLarge
from seatrial.ports.storage import StoreUnavailable

FOLDER = "staging/"
DOOR = "door-"
_PARTS_MAX = 10_000  # of one upload
_SUMMED_ON_LOOP_BYTES_MAX = 64 * 1024


class Staging:
    """Makes and removes staged objects below the home."""

    def __init__(self, service: S3Service, home: Home, incarnation: str) -> None:
        self._store = S3Store(
            home.bucket,
            prefix=home.prefix.rstrip("/") or None,
            region=service.access.region,
            credential_provider=_credentials_of(service),
            client_options={
                "allow_http": _is_plain(service.access),
                "connect_timeout": timedelta(seconds=S3_CONNECT_SECONDS_MAX),
                "timeout": timedelta(seconds=S3_QUIET_READ_SECONDS_MAX),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=S3_QUIET_READ_SECONDS_MAX)},
            **_endpoint(service.access),
        )
        self._life = f"{FOLDER}{incarnation}/"
        self._door = DOOR + secrets.token_hex(8)

    async def stage(self, body: AsyncIterator[bytes] | bytes | Path, limit_bytes: int, claim: str | None) -> Sealed:
        """A new object. Raises TooLarge, StoreUnavailable, and whatever the body itself raises."""
        key = f"{self._life}{claim or self._door}/{secrets.token_hex(16)}"
        summed = _Summed(body, limit_bytes)
        chunk_bytes = max(S3_STAGE_CHUNK_BYTES, -(-limit_bytes // _PARTS_MAX)) if limit_bytes > 50 * GIB else 0
        try:
            await self._put(key, summed, chunk_bytes or S3_STAGE_CHUNK_BYTES)
        except (BaseError, FileNotFoundError) as error:
            if summed.fault is not None:
                raise summed.fault from None
            raise StoreUnavailable(f"the object store does not take it: {_first_line(error)}") from error
        return Sealed(summed.size_bytes, summed.sha256.hexdigest(), summed.md5.hexdigest(), blob=key)

    async def discard(self, keys: Sequence[str]) -> None:
        """Remove staged objects; those already gone are no error."""
        if not keys:
            return
        try:
            await self._store.delete_async(list(keys))
        except FileNotFoundError:
            pass  # some services say so
        except BaseError as error:
            raise StoreUnavailable(f"the object store does not remove it: {_first_line(error)}") from error

    async def _put(self, key: str, summed: _Summed, chunk_bytes: int) -> None:
        """In one request as far as one chunk goes, else in parts: in either case whole or not at all."""
        chunks = aiter(summed)
        begun = await _first(chunks, chunk_bytes)
        if len(begun) < chunk_bytes:
            await self._store.put_async(key, begun, use_multipart=False)
            return
        await self._store.put_async(
            key,
            _rejoined(begun, chunks),
            use_multipart=True,
            chunk_size=chunk_bytes,
            max_concurrency=S3_STAGE_CHUNKS_AT_ONCE_MAX,
        )


class _Summed:
    """The bytes of a body, counted and hashed as they pass. `fault` is what ended them early."""

    def __init__(self, body: AsyncIterator[bytes] | bytes | Path, limit_bytes: int) -> None:
        self._body = body
        self._limit_bytes = limit_bytes
        self.size_bytes = 0
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.fault: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in _pieces(self._body):
                self.size_bytes += len(data)
                if self.size_bytes > self._limit_bytes:
                    raise TooLarge(f"more than {self._limit_bytes} bytes")
                if len(data) <= _SUMMED_ON_LOOP_BYTES_MAX:
                    self._add(data)
                else:
                    await asyncio.to_thread(self._add, data)
                yield data
        except BaseException as error:
            self.fault = error
            raise

    def _add(self, data: bytes) -> None:
        self.sha256.update(data)
        self.md5.update(data)


async def _pieces(body: AsyncIterator[bytes] | bytes | Path) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        for at in range(0, len(body), STREAM_CHUNK_BYTES):
            yield body[at : at + STREAM_CHUNK_BYTES]
    elif isinstance(body, Path):
        descriptor = await asyncio.to_thread(_open_regular, body)
        try:
            while data := await asyncio.to_thread(os.read, descriptor, STREAM_CHUNK_BYTES):
                yield data
        finally:
            os.close(descriptor)
    else:
        async for data in body:
            yield data


def _open_regular(source: Path) -> int:
    # Not following a link and not waiting for a pipe: the path may come from a worker.
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{source} is not a regular file")
    return descriptor


async def _first(chunks: AsyncIterator[bytes], wanted_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size_bytes = 0
    async for data in chunks:
        pieces.append(data)
        size_bytes += len(data)
        if size_bytes >= wanted_bytes:
            break
    return b"".join(pieces)


async def _rejoined(begun: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for at in range(0, len(begun), MIB):
        yield begun[at : at + MIB]
    async for data in rest:
        if data:
            yield data


def is_refusal(error: BaseException | None) -> bool:
    """True for what no repetition mends by itself: these credentials may not do this."""
    return isinstance(error, PermissionDeniedError | UnauthenticatedError)


def _is_plain(access: S3Access) -> bool:
    return access.endpoint is not None and access.endpoint.startswith("http://")


def _endpoint(access: S3Access) -> dict[str, Any]:
    return {} if access.endpoint is None else {"endpoint": access.endpoint, "virtual_hosted_style_request": False}


def _credentials_of(service: S3Service) -> Any:
    """botocore's own credentials, wherever it found them and as often as it renews them."""

    def provide() -> Mapping[str, Any]:
        found = service.session.get_credentials()
        if found is None:
            raise StoreUnavailable("there are no credentials for the object store")
        frozen = found.get_frozen_credentials()
        token = {} if frozen.token is None else {"token": frozen.token}
        expires = getattr(found, "_expiry_time", None)
        keys = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key}
        return {**keys, **token, "expires_at": expires}

    return provide


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:500]
