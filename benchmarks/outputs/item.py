"""One output of the corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from seatrial.prove.validate import DEFAULT, Profile

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Item:
    """An output, what was done to it (empty: nothing), and the profile under which it is looked at."""

    name: str
    group: str  # image, mesh, array, json, audio, video
    data: bytes
    what: str  # what it shows or holds
    damage: str = ""
    profile: Profile = field(default=DEFAULT)


Maker = Callable[[Random], Item]


def pick(random: Random, makers: dict[str, Maker], count: int) -> list[Item]:
    """`count` items, every maker in turn, so that the rare ones are there too."""
    names = list(makers)
    return [makers[names[number % len(names)]](random) for number in range(count)]
