"""What a run will ask for and what it will break: all of it follows from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from seatrial.ports.crash_points import CrashPoint
from torture.proxy import Trouble
from torture.work import Errand

T = TypeVar("T")

DOORS = {"v1": 5, "form": 2, "sagemaker async": 3, "sagemaker sync": 2}
ACTS = {"answer": 88, "fail": 6, "die": 2, "leave a child": 4}
SIZES = {64: 7, 20_000: 2, 100_000: 1}  # characters: in the row, a file, several writes; AWS takes 128,000 bytes inline
JUMP_SECONDS_MAX = 240  # of the wall clock; AWS signatures allow 15 minutes, webhook signatures 5


class Kind(StrEnum):
    """What can be broken."""

    KILL_SERVER = "server killed"
    KILL_AT_POINT = "server killed at a crash point"
    KILL_WORKER = "worker killed"
    STOP_SERVER = "server stopped for a while"
    STOP_WORKER = "worker stopped for a while"
    JUMP = "wall clock jumped"
    FILL_DISK = "disk full"
    UPDATE = "endpoint updated"
    RESTART = "server restarted gracefully"
    OBJECTS = "object store in trouble"
    DATABASE = "database killed for a while"


WEIGHTS = {
    Kind.KILL_SERVER: 4,
    Kind.KILL_AT_POINT: 6,
    Kind.KILL_WORKER: 4,
    Kind.STOP_SERVER: 2,
    Kind.STOP_WORKER: 2,
    Kind.JUMP: 3,
    Kind.FILL_DISK: 2,
    Kind.UPDATE: 1,
    Kind.RESTART: 1,
    Kind.OBJECTS: 10,
    Kind.DATABASE: 4,
}
_POINTS = [point for point in CrashPoint if point.split(".")[0] not in ("deploy", "delete", "start")]


@dataclass(frozen=True)
class Fault:
    """One thing that breaks, some time after the one before. `seconds` is how long it lasts, or how far it jumps."""

    kind: Kind
    pause_seconds: float
    seconds: float
    point: CrashPoint
    arrival: int
    trouble: Trouble


@dataclass(frozen=True)
class Step:
    """One client's next job; `cancel_after_seconds`: it then changes its mind. `twice`: it asks again at once."""

    errand: Errand
    cancel_after_seconds: float | None
    twice: bool
    pause_seconds: float


def steps(seed: int, client: int, clients: int) -> Iterator[Step]:
    """What one of several clients asks for, for ever."""
    dice = random.Random(f"{seed} client {client}")
    number = client
    while True:
        number += clients
        act = _pick(dice, ACTS)
        errand = Errand(
            number=number,
            key=f"{seed}-{number}",
            size=_pick(dice, SIZES),
            part_size=_pick(dice, SIZES) if dice.random() < 0.3 else 0,
            seconds=round(dice.expovariate(8), 3),
            act=act,
            padding=_pick(dice, SIZES) if dice.random() < 0.3 else 0,
            door=_pick(dice, DOORS),
        )
        cancel = round(dice.uniform(0, 0.5), 3) if dice.random() < 0.08 else None
        yield Step(errand, cancel, dice.random() < 0.1, round(dice.expovariate(10), 3))


def faults(seed: int) -> Iterator[Fault]:
    """What breaks, for ever."""
    dice = random.Random(f"{seed} faults")
    while True:
        kind = _pick(dice, WEIGHTS)
        seconds = dice.uniform(-JUMP_SECONDS_MAX, JUMP_SECONDS_MAX) if kind is Kind.JUMP else dice.uniform(0.2, 2.5)
        yield Fault(
            kind, dice.uniform(0.3, 2.5), seconds, dice.choice(_POINTS), dice.randint(1, 6), dice.choice(list(Trouble))
        )


def _pick(dice: random.Random, weights: dict[T, int]) -> T:
    (chosen,) = dice.choices(list(weights), list(weights.values()))
    return chosen
