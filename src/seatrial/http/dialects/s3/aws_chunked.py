"""Bodies in `aws-chunked` encoding: chunks with a length, perhaps a signature each, and trailing headers.

Source: "Signature calculations for the Authorization header: transferring payload in multiple chunks" and the
same "including trailing headers" in the Amazon S3 API Reference. Lines end with CR LF; the trailing headers
of some clients with LF alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum, auto
from typing import Protocol

from seatrial.domain.limits import S3_CHUNK_HEADER_BYTES_MAX
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3.errors import s3_error

_HEADER = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_TRAILER_SIGNATURE = "x-amz-trailer-signature"


class Signer(Protocol):
    """What computes the signatures that chunks must have."""

    @property
    def seed_signature(self) -> str:
        """The signature of the request itself, which the first chunk's follows."""
        ...

    def chunk(self, previous_signature: str, payload_sha256: str) -> str:
        """Of a chunk."""
        ...

    def trailer(self, previous_signature: str, trailer_sha256: str) -> str:
        """Of the trailing headers."""
        ...


class _Expect(Enum):
    HEADER = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()


class ChunkedDecoder:
    """Fed with raw bytes in order, gives payload bytes. What it gives counts only once `finish` has returned.

    `trailers` tells whether trailing headers were announced; with a signer they must be signed too.

    Raises:
        AwsError: IncompleteBody, InvalidChunkSizeError, SignatureDoesNotMatch.
    """

    def __init__(self, signer: Signer | None, *, trailers: bool) -> None:
        self._signer = signer
        self._signature = "" if signer is None else signer.seed_signature
        self._with_trailers = trailers
        self._expect = _Expect.HEADER
        self._raw = bytearray()
        self._left = 0
        self._claimed = ""
        self._sha256 = hashlib.sha256()

    def feed(self, data: bytes) -> bytes:
        """The payload that these bytes complete; chunks are checked as they end."""
        self._raw += data
        payload: list[bytes] = []
        while self._step(payload):
            pass
        return b"".join(payload)

    def finish(self) -> dict[str, str]:
        """The trailing headers, by lower-case name, once all has been fed."""
        if self._expect is not _Expect.TRAILERS:
            raise s3_error("IncompleteBody")
        lines = [line.rstrip(b"\r") for line in bytes(self._raw).split(b"\n")]
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        signature = headers.pop(_TRAILER_SIGNATURE, "")
        if self._signer is not None and self._with_trailers:
            signed = "".join(f"{name}:{value}\n" for name, value in headers.items())
            wanted = self._signer.trailer(self._signature, hashlib.sha256(signed.encode("latin-1")).hexdigest())
            _same(wanted, signature)
        return headers

    def _step(self, payload: list[bytes]) -> bool:
        """Do what the next bytes allow; False: more are needed."""
        if self._expect is _Expect.HEADER:
            return self._read_header()
        if self._expect is _Expect.DATA:
            return self._read_data(payload)
        if self._expect is _Expect.DATA_END:
            return self._read_data_end()
        if len(self._raw) > S3_CHUNK_HEADER_BYTES_MAX:
            raise _malformed("the trailing headers are too long")
        return False

    def _read_header(self) -> bool:
        end = self._raw.find(b"\r\n")
        if end < 0:
            if len(self._raw) > S3_CHUNK_HEADER_BYTES_MAX:
                raise _malformed("a chunk's header is too long")
            return False
        found = _HEADER.fullmatch(self._raw[:end])
        if found is None:
            raise _malformed("a chunk begins with its length in hexadecimal")
        del self._raw[: end + 2]
        self._left = int(found[1], 16)
        self._claimed = (found[2] or b"").decode()
        self._sha256 = hashlib.sha256()
        if self._left:
            self._expect = _Expect.DATA
        else:
            self._check_signature()
            self._expect = _Expect.TRAILERS
        return True

    def _read_data(self, payload: list[bytes]) -> bool:
        if not self._raw:
            return False
        data = bytes(self._raw[: self._left])
        del self._raw[: len(data)]
        if self._signer is not None:
            self._sha256.update(data)
        payload.append(data)
        self._left -= len(data)
        if not self._left:
            self._check_signature()
            self._expect = _Expect.DATA_END
        return True

    def _read_data_end(self) -> bool:
        if len(self._raw) < 2:
            return False
        if self._raw[:2] != b"\r\n":
            raise _malformed("a chunk is longer than it says")
        del self._raw[:2]
        self._expect = _Expect.HEADER
        return True

    def _check_signature(self) -> None:
        if self._signer is None:
            return
        wanted = self._signer.chunk(self._signature, self._sha256.hexdigest())
        _same(wanted, self._claimed)
        self._signature = wanted


def _same(wanted: str, claimed: str) -> None:
    if not hmac.compare_digest(wanted.encode(), claimed.encode()):
        raise s3_error("SignatureDoesNotMatch")


def _malformed(why: str) -> AwsError:
    return AwsError("InvalidChunkSizeError", f"The aws-chunked body is malformed: {why}.", 400)
