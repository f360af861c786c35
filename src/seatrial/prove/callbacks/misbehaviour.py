"""Answering badly, on order: what a sender has to survive."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from seatrial.prove.callbacks.callback import Answered
from seatrial.prove.limits import CALLBACK_HANG_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What is to go wrong: first `hang` callbacks are never answered, then `fail` are answered with `fail_status`.

    `hang_seconds` is how long a connection is held before it is dropped; every answer comes `delay_seconds` late.
    """

    fail: int = 0
    fail_status: int = 503
    hang: int = 0
    hang_seconds: float = float(CALLBACK_HANG_SECONDS_MAX)
    delay_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError: out of range, naming the field."""
        seconds = CALLBACK_HANG_SECONDS_MAX
        for name in ("fail", "hang"):
            if not 0 <= getattr(self, name) <= 1_000_000:
                raise ValueError(f"{name}: from 0 to 1,000,000 callbacks")
        for name in ("hang_seconds", "delay_seconds"):
            if not 0 <= getattr(self, name) <= seconds:
                raise ValueError(f"{name}: from 0 to {seconds} seconds")
        if not 300 <= self.fail_status <= 599:
            raise ValueError("fail_status: from 300 to 599")


class Orders:
    """The misbehaviour that is left, counted down callback by callback. Safe in threads."""

    def __init__(self, misbehaviour: Misbehaviour | None = None) -> None:
        self._left = misbehaviour or Misbehaviour()
        self._lock = threading.Lock()

    @property
    def left(self) -> Misbehaviour:
        """What is still to go wrong."""
        return self._left

    def give(self, misbehaviour: Misbehaviour) -> None:
        """Replace what is left."""
        with self._lock:
            self._left = misbehaviour

    def next(self) -> tuple[Answered, Misbehaviour]:
        """How to answer now."""
        with self._lock:
            now = self._left
            if now.hang:
                self._left = replace(now, hang=now.hang - 1)
                return Answered.HUNG, now
            if now.fail:
                self._left = replace(now, fail=now.fail - 1)
                return Answered.FAILED, now
            return Answered.TAKEN, now
