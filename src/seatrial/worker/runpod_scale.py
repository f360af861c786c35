"""How many jobs a RunPod handler wants at once: what its `concurrency_modifier` says, asked by the SDK itself.

Written against `runpod.serverless.modules.rp_scale.JobScaler` of runpod/runpod-python 1.12, whose worker asks before it
takes jobs, and once a second while it has as many as it wants.
"""

# ruff: noqa: TID252, UP006, UP035, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import asyncio
import importlib
import traceback
from typing import Any, Callable, Dict, Optional

from . import protocol
from .failure import HandlerUnusable

ASKED_EVERY_SECONDS = 1.0


class RunpodScale:
    """Its methods belong to the loop that the handler runs in: modifiers and handlers never run at the same time."""

    def __init__(self, config: Dict[str, Any]) -> None:
        self._config = config
        self._scaler: Any = None
        self._look: Optional[asyncio.Event] = None
        self._odd: object = None
        self.slots = 1

    async def begin(self) -> None:
        """Ask for the first time.

        Raises:
            HandlerUnusable: it does not say a number. What the modifier raises, too.
        """
        self._scaler = importlib.import_module("runpod.serverless.modules.rp_scale").JobScaler(self._config)
        await self._ask()

    def changed(self) -> None:
        """A job has begun or ended: the number may be another one by now."""
        if self._look is not None:
            self._look.set()

    async def go_on(self, is_busy: Callable[[], bool], tell: Callable[[int], None]) -> None:
        """Ask again and again, for ever; what changes is told. A modifier that fails leaves the number as it is."""
        self._look = asyncio.Event()
        failing = False
        while True:
            self._look.clear()
            before = self.slots
            try:
                await self._ask()
                failing = False
            except Exception:  # noqa: BLE001  user code
                if not failing:
                    print(f"concurrency_modifier failed; {self.slots} jobs at once as before: {traceback.format_exc()}")
                failing = True
            if self.slots != before:
                tell(self.slots)
            try:
                await asyncio.wait_for(self._look.wait(), ASKED_EVERY_SECONDS if is_busy() else None)
            except asyncio.TimeoutError:
                pass

    async def _ask(self) -> None:
        before = self._scaler.current_concurrency
        try:
            await self._scaler.set_scale()
            said = _whole(self._scaler.current_concurrency)
        except Exception:
            self._scaler.current_concurrency = before
            raise
        self.slots = min(max(said, 1), protocol.SLOTS_MAX)
        if said not in (self.slots, self._odd):
            self._odd = said
            print(f"concurrency_modifier says {said}: taken as {self.slots}, of 1 to {protocol.SLOTS_MAX}")


def _whole(said: Any) -> int:
    if isinstance(said, bool) or not isinstance(said, (int, float)) or said != said // 1:
        raise HandlerUnusable(f"concurrency_modifier has to return a whole number of jobs at once, not {said!r}")
    return int(said)
