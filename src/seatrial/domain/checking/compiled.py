"""Things made once for an object that never changes, such as the validators of a task.

Contracts are frozen but hold mappings, so they have no hash: what was made is found again by identity. Whoever
wants the speed keeps a contract instead of reading it anew for every request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

from seatrial.domain.limits import COMPILED_TASKS_KEPT

A = TypeVar("A")
B = TypeVar("B")


class _Same(Generic[A]):
    """Equal only to a wrapper of the very same object, which it keeps alive."""

    __slots__ = ("it",)

    def __init__(self, it: A) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.it is self.it


def once_for_each(make: Callable[[A], B]) -> Callable[[A], B]:
    """`make`, remembering what it made for the last so many objects."""

    @lru_cache(maxsize=COMPILED_TASKS_KEPT)
    def kept(same: _Same[A]) -> B:
        return make(same.it)

    def made(it: A) -> B:
        return kept(_Same(it))

    return made
