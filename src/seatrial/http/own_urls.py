"""The server's own signed URLs as inputs: their signature is held to be good, and the object is read without a request.

The guard of other URLs would refuse them where the server listens on loopback. Nothing but objects can be named so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from urllib.parse import urlsplit

from seatrial.domain.access import reaches_object, require
from seatrial.domain.credentials import Principal
from seatrial.domain.errors import INPUT_UNREACHABLE, MEDIA_TOO_LARGE, BadInput, Forbidden
from seatrial.domain.home import Home
from seatrial.domain.objects import ObjectName
from seatrial.engine.keyring import Keyring
from seatrial.engine.whole_object import whole_object
from seatrial.http import sigv4
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3.address import read_address
from seatrial.http.dialects.s3.operations import Operation
from seatrial.http.doors.s3.reach import SCOPES
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectStore
from seatrial.ports.urls import Fetched, UrlReader

_SIGNATURES = ("X-Amz-Signature=", "Signature=")


class OwnUrls:
    """The UrlReader. Signed URLs at `hosts` (`name:port`) are read here, anything else by `others`."""

    def __init__(
        self,
        hosts: Collection[str],
        keyring: Keyring,
        objects: ObjectStore,
        clock: Clock,
        home: Home | None,
        others: UrlReader,
    ) -> None:
        self._hosts = frozenset(hosts)
        self._keyring = keyring
        self._objects = objects
        self._clock = clock
        self._home = home
        self._others = others

    async def fetch(self, url: str, limit_bytes: int) -> Fetched:
        """See `ports/urls.py`."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return await self._others.fetch(url, limit_bytes)
        if parts.netloc.lower() not in self._hosts or not any(one in parts.query for one in _SIGNATURES):
            return await self._others.fetch(url, limit_bytes)
        try:
            name = self._named(sigv4.SignedRequest("GET", parts.path, parts.query, [("host", parts.netloc)]))
        except (sigv4.SignatureRefused, AwsError, Forbidden) as refused:
            raise _unreachable(url, f"is a signed URL of this server that does not hold: {refused.message}") from None
        return await self._read(url, name, limit_bytes)

    def _named(self, signed: sigv4.SignedRequest) -> ObjectName:
        claimed = sigv4.read_claim(signed)
        if claimed.service != "s3":
            raise sigv4.SignatureRefused(sigv4.Flaw.UNSUPPORTED, "It names no object.")
        empty = hashlib.sha256(b"").hexdigest()
        now_ms = self._clock.now_ms()
        principal: Principal = sigv4.verify(signed, claimed, self._keyring.by_access_key, empty, now_ms).principal
        name = read_address("", signed.raw_path.encode(), signed.raw_query.encode(), "").name
        require(principal, *SCOPES[Operation.GET_OBJECT])
        if not reaches_object(principal.reach, name, self._home):
            raise sigv4.SignatureRefused(sigv4.Flaw.UNKNOWN_KEY, "Its key does not reach the object.")
        return name

    async def _read(self, url: str, name: ObjectName, limit_bytes: int) -> Fetched:
        def place(size_bytes: int) -> None:
            if size_bytes > limit_bytes:
                message = f"{name.uri} has {size_bytes:,} bytes, and {limit_bytes:,} are allowed."
                raise BadInput(MEDIA_TOO_LARGE, message, valid=f"at most {limit_bytes:,} bytes")

        try:
            info = await self._objects.head(name)
            content = await whole_object(self._objects, info.ref, place)
        except (NoSuchBucket, NoSuchObject):
            raise _unreachable(url, "names an object that is not there") from None
        assert isinstance(content, bytes)  # noqa: S101 - `place` names no file
        return Fetched(content, info.media_type or "")


def _unreachable(url: str, what: str) -> BadInput:
    shown = url.partition("?")[0]
    return BadInput(
        INPUT_UNREACHABLE, f"{shown}?… {what}", valid="a signed URL that holds still, of an object that is there"
    )
