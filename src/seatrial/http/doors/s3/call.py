"""One S3 request, read: who calls, what it names, and the body as it arrives and is verified."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from seatrial.domain import checksums
from seatrial.domain.checksums import Checksum
from seatrial.domain.limits import KIB, OBJECT_PUT_BYTES_MAX, S3_XML_BYTES_MAX
from seatrial.domain.objects import ObjectName, Sealed
from seatrial.http.aws_request import AwsRequest
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3 import integrity
from seatrial.http.dialects.s3.address import Address
from seatrial.http.dialects.s3.aws_chunked import ChunkedDecoder
from seatrial.http.dialects.s3.errors import s3_error
from seatrial.http.dialects.s3.integrity import Arrived
from seatrial.ports.object_store import ObjectStore

_SUMMED_ON_LOOP_BYTES_MAX = 4 * KIB


@dataclass(frozen=True, slots=True)
class S3Call:
    """`words` are the request's headers in lower case, with those that a presigned query carries."""

    aws: AwsRequest
    address: Address
    words: dict[str, str]

    @property
    def name(self) -> ObjectName:
        """The object that the URL names."""
        return self.address.name

    @property
    def bucket(self) -> str:
        """The bucket that the URL names."""
        if self.address.bucket is None:
            raise s3_error("MethodNotAllowed")
        return self.address.bucket


class Incoming:
    """The body of a request. Nothing of a body that is not the one declared is ever kept.

    `algorithm`: compute this checksum even if the client gave none.
    """

    def __init__(self, call: S3Call, algorithm: str | None = None) -> None:
        payload_sha256 = call.aws.payload_sha256
        self.declared = integrity.read_declared(call.words, payload_sha256)
        self._request = call.aws.request
        self._decoder: ChunkedDecoder | None = None
        if self.declared.chunked:
            trailers = integrity.has_signed_trailers(payload_sha256)
            self._decoder = ChunkedDecoder(call.aws.chunks, trailers=trailers)
        chosen = self.declared.algorithm or algorithm
        self._checksum: Checksum | None = None if chosen is None else checksums.new_checksum(chosen)

    @property
    def checksum(self) -> str | None:
        """In base64, once the body has been received."""
        return None if self._checksum is None else checksums.encoded(self._checksum.digest())

    async def stage(self, objects: ObjectStore, bytes_max: int = OBJECT_PUT_BYTES_MAX) -> Sealed:
        """Receive into the store.

        Raises:
            AwsError: the body is not the declared one.
            TooLarge: over 5 GiB, or what else is the most.
        """
        sealed = await objects.stage(self._payload(), bytes_max)
        try:
            self._check(sealed.size_bytes, sealed.etag, sealed.sha256)
        except AwsError:
            await objects.discard([sealed])
            raise
        return sealed

    async def document(self) -> bytes:
        """Receive a small body into memory. Raises AwsError: it is too long, or not the declared one."""
        raw = bytearray()
        async for data in self._payload():
            raw += data
            if len(raw) > S3_XML_BYTES_MAX:
                raise AwsError("MaxMessageLengthExceeded", "Your request was too large.", 400)
        md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        self._check(len(raw), md5, hashlib.sha256(raw).hexdigest())
        return bytes(raw)

    def kept_checksum(self) -> dict[str, str]:
        """The header of the client's checksum, to be kept and told."""
        if self.declared.algorithm is None or self.checksum is None:
            return {}
        return {integrity.CHECKSUM + self.declared.algorithm: self.checksum}

    async def _payload(self) -> AsyncIterator[bytes]:
        async for data in self._request.stream():
            payload = data if self._decoder is None else self._decoder.feed(data)
            if payload:
                await add_to(self._checksum, payload)
                yield payload
        if self._decoder is not None:
            self.declared = integrity.with_trailers(self.declared, self._decoder.finish())

    def _check(self, size_bytes: int, md5: str, sha256: str) -> None:
        integrity.check(self.declared, Arrived(size_bytes, md5, sha256, self.checksum))


async def add_to(checksum: Checksum | None, data: bytes) -> None:
    """Feed a checksum, in a thread when that takes long."""
    if checksum is None:
        return
    if len(data) <= _SUMMED_ON_LOOP_BYTES_MAX:
        checksum.update(data)
    else:
        await asyncio.to_thread(checksum.update, data)
