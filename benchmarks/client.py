"""A small HTTP/1.1 keep-alive client, the same for every stack, so that the client's own cost is the same too."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


class Connection:
    """One keep-alive connection; one request at a time."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        lines = [f"Host: {self._host}:{self._port}", *(f"{name}: {value}" for name, value in headers.items())]
        self._headers = "\r\n".join(lines)

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def post(self, path: str, body: bytes) -> tuple[int, Any]:
        head = f"POST {path} HTTP/1.1\r\n{self._headers}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return await self._reply()

    async def get(self, path: str) -> tuple[int, Any]:
        self._writer.write(f"GET {path} HTTP/1.1\r\n{self._headers}\r\n\r\n".encode())
        return await self._reply()

    async def _reply(self) -> tuple[int, Any]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        at = head.index(b"content-length:") + 15
        body = await self._reader.readexactly(int(head[at : head.index(b"\r", at)]))
        return status, json.loads(body)
