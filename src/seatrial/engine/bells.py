"""Wake-ups by key, within one process. A bell is a hint: whoever hears it looks at the store."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

OUTBOX = "outbox"  # the bell that says that something may be due


class Bells:
    """Counts rings per key, so that a ring between looking and waiting is never missed."""

    def __init__(self) -> None:
        self._rings: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def heard(self, key: str) -> int:
        """How often the key has been rung: pass it to `wait` after having looked."""
        return self._rings[key]

    def ring(self, key: str) -> None:
        """Wake everybody who waits for the key."""
        self._rings[key] += 1
        for waiter in self._waiting.pop(key, ()):
            if not waiter.done():
                waiter.set_result(None)

    def ring_all(self) -> None:
        """Wake everybody."""
        for key in list(self._waiting):
            self.ring(key)

    def ring_some(self, keys: Iterable[str]) -> None:
        """Wake those who wait for one of these keys, or everybody where none is named."""
        some = list(keys)
        for key in some or list(self._waiting):
            self.ring(key)

    async def wait(self, key: str, heard: int, timeout_seconds: float) -> bool:
        """Until the key is rung more often than `heard`; False when the time passed first."""
        if self._rings[key] != heard:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(waiter)
        try:
            await asyncio.wait_for(waiter, timeout_seconds)
        except TimeoutError:
            return False
        finally:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.discard(waiter)
                if not waiting:
                    del self._waiting[key]
        return True

    def forget(self, key: str) -> None:
        """The key is not used any more."""
        self.ring(key)
        self._rings.pop(key, None)
