"""HTTP as targets use it: bounded answers, and troubles told apart."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from seatrial.prove.limits import TARGET_ANSWER_BYTES_MAX, TARGET_ANSWER_SECONDS_MAX, TARGET_CONNECT_SECONDS_MAX
from seatrial.prove.targets.answer import Failure, failure_of
from seatrial.prove.targets.trouble import Forbidden, Refused, Unknown, Unreachable


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer, whole."""

    status: int
    headers: httpx.Headers
    data: bytes

    @property
    def media_type(self) -> str:
        """Without its parameters."""
        return str(self.headers.get("content-type", "application/octet-stream")).partition(";")[0].strip()

    def document(self) -> Any:
        """The JSON that it holds; None when it holds none."""
        try:
            return json.loads(self.data)
        except ValueError:
            return None

    def failure(self) -> Failure:
        """What it says went wrong."""
        document = self.document()
        return failure_of(document, self.data[:500].decode(errors="replace") if document is None else "")


class Web:
    """One server by its base URL. May be used from several threads."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self.url = base_url.rstrip("/")
        self._client = httpx.Client(headers=dict(headers), limits=limits, trust_env=not _is_loopback(base_url))

    def ask(self, method: str, path: str, *, read_seconds: float | None = None, **how: Any) -> Reply:
        """An answer, whatever its status.

        Raises:
            Unreachable: none came, or not whole, or too much of it.
        """
        timeout = httpx.Timeout(read_seconds or TARGET_ANSWER_SECONDS_MAX, connect=TARGET_CONNECT_SECONDS_MAX)
        try:
            with self._client.stream(method, self.url + path, timeout=timeout, **how) as answer:
                return Reply(answer.status_code, answer.headers, self._read(answer))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            words = str(error) or type(error).__name__
            raise Unreachable(
                f"no answer from {self.url}{path}: {words}", "is the server up, and the URL right?"
            ) from None

    def call(self, method: str, path: str, **how: Any) -> Reply:
        """An answer that is no error.

        Raises:
            Forbidden: 401 or 403. Unknown: 404. Refused: any other error of the request or the server.
            Unreachable: as `ask`.
        """
        return self.checked(method, path, self.ask(method, path, **how))

    def checked(self, method: str, path: str, reply: Reply) -> Reply:
        """An answer of `ask`, if it is no error; raises as `call`."""
        if reply.status < 400:
            return reply
        failure = reply.failure()
        if reply.status in (401, 403):
            raise Forbidden(f"{method} {path} was refused with {reply.status}: {failure.message}")
        if reply.status == 404:
            raise Unknown(failure.message or "not found", failure.structured, failure.remedy)
        raise Refused(reply.status, failure)

    def _read(self, answer: httpx.Response) -> bytes:
        data = bytearray()
        for chunk in answer.iter_bytes():
            data += chunk
            if len(data) > TARGET_ANSWER_BYTES_MAX:
                raise Unreachable(f"{answer.request.url} answers more than {TARGET_ANSWER_BYTES_MAX:,} bytes")
        return bytes(data)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
