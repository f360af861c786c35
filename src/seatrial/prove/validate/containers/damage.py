"""What every reader of a structure raises, and how short reads become that."""

from __future__ import annotations

from typing import Any, BinaryIO


class Damaged(Exception):
    """The structure does not hold; the message names the place, `measured` the figures."""

    def __init__(self, message: str, **measured: Any) -> None:
        super().__init__(message)
        self.message = message
        self.measured = measured


def take(stream: BinaryIO, count: int, what: str) -> bytes:
    """Exactly `count` bytes.

    Raises:
        Damaged: the file ends before.
    """
    at = stream.tell()
    data = stream.read(count)
    if len(data) < count:
        raise Damaged(
            f"the file ends inside {what}: {count - len(data)} of {count} bytes are missing at byte {at}", offset=at
        )
    return data
