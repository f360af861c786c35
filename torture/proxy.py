"""Between the server and its object store: cuts, delays, fails, throttles and truncates, or is not there at all."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

CHUNK_BYTES = 65_536
SHARE = 0.5  # of what passes while something is broken
_METHODS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ")
_ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>as told</Message></Error>"


class Trouble(StrEnum):
    """What the object store can suffer from."""

    CUT = "object store cuts connections"
    DELAY = "object store is slow"
    FAIL = "object store answers 500"
    THROTTLE = "object store answers 503 SlowDown"
    TRUNCATE = "object store truncates answers"
    AWAY = "object store is away"


class FaultyProxy:
    """Forwards to a port on loopback, in a thread of its own; `trouble` is what is wrong just now."""

    def __init__(self, target_port: int, seed: int) -> None:
        self.trouble: Trouble | None = None
        self._target_port = target_port
        self._dice = random.Random(f"{seed} proxy")
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def start(self) -> FaultyProxy:
        self._thread.start()
        self._ready.wait()
        return self

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        self._loop.run_until_complete(self._open())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._shut())

    async def _shut(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self.trouble is Trouble.AWAY:
                return
            upstream, to_upstream = await asyncio.open_connection("127.0.0.1", self._target_port)
            writers.append(to_upstream)
            there = asyncio.create_task(self._pump(reader, to_upstream, self._on_request(writer)))
            back = asyncio.create_task(self._pump(upstream, writer, self._on_answer))
            _, pending = await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            for one in pending:
                one.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        except OSError:
            pass  # the store itself is away
        finally:
            for one in writers:
                with suppress(OSError):
                    one.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        suffer: Callable[[bytes], bytes | None],
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.trouble is Trouble.DELAY and self._hit():
                    await asyncio.sleep(self._dice.uniform(0.1, 1.0))
                kept = suffer(data)
                if kept is None:
                    return
                writer.write(kept)
                await writer.drain()
                if kept is not data:
                    return

    def _on_request(self, back: asyncio.StreamWriter) -> Callable[[bytes], bytes | None]:
        def suffer(data: bytes) -> bytes | None:
            if self.trouble in (Trouble.CUT, Trouble.AWAY):
                return None if self.trouble is Trouble.AWAY or self._hit() else data
            if self.trouble in (Trouble.FAIL, Trouble.THROTTLE) and data.startswith(_METHODS) and self._hit():
                back.write(_refusal(self.trouble, data.startswith(b"HEAD ")))
                return None
            return data

        return suffer

    def _on_answer(self, data: bytes) -> bytes | None:
        if self.trouble is Trouble.CUT and self._hit():
            return None  # it was done, and nobody hears of it
        if self.trouble is Trouble.TRUNCATE and self._hit():
            return data[: len(data) // 2]
        return data

    def _hit(self) -> bool:
        return self._dice.random() < SHARE


def _refusal(trouble: Trouble, is_head: bool) -> bytes:
    status, code = (b"500 Internal Server Error", b"InternalError")
    if trouble is Trouble.THROTTLE:
        status, code = (b"503 Slow Down", b"SlowDown")
    body = b"" if is_head else _ERROR % code
    head = b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, len(body)) + body
