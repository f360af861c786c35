"""Receivers that do not answer are left alone for a while as a whole, longer each time, and tried with one delivery.

So one that is dead or hangs takes one place of those that deliver, now and then, and delays nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.domain.limits import RECEIVER_PAUSE_MS_FIRST, RECEIVER_PAUSE_MS_MAX


@dataclass(slots=True)
class _Broken:
    """A receiver that did not answer. Times are of the monotonic clock, in milliseconds."""

    since_ms: int
    failures: int
    until_ms: int


class Circuits:
    """By receiver, as `Target.receiver` has it. A restart forgets them, and tries each once more."""

    def __init__(self) -> None:
        self._broken: dict[str, _Broken] = {}

    @property
    def broken(self) -> frozenset[str]:
        """Receivers that have not answered since they were told last."""
        return frozenset(self._broken)

    def failed(self, receiver: str, now_ms: int) -> int:
        """It did not answer; for how long it has not, in milliseconds."""
        one = self._broken.setdefault(receiver, _Broken(now_ms, 0, now_ms))
        one.failures += 1
        one.until_ms = now_ms + min(RECEIVER_PAUSE_MS_FIRST << min(one.failures - 1, 30), RECEIVER_PAUSE_MS_MAX)
        return now_ms - one.since_ms

    def answered(self, receiver: str) -> None:
        """It is told as any other from now on."""
        self._broken.pop(receiver, None)

    def to_try(self, now_ms: int) -> list[str]:
        """Those whose pause is over, the longest first."""
        over = [(one.until_ms, receiver) for receiver, one in self._broken.items() if one.until_ms <= now_ms]
        return [receiver for _, receiver in sorted(over)]

    def forget(self, now_ms: int) -> None:
        """Drop those that nothing was sent to for so long that their pauses say nothing any more."""
        old_ms = now_ms - RECEIVER_PAUSE_MS_MAX * 60
        self._broken = {receiver: one for receiver, one in self._broken.items() if one.until_ms > old_ms}
