"""What a scenario is given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from seatrial.prove.stress.job import Job
from seatrial.prove.stress.load import Load
from seatrial.prove.stress.settings import ScenarioName, Settings
from seatrial.prove.stress.variants import Variant


@dataclass(slots=True)
class Pressure:
    """`make` numbers and keeps a job of the scenario; `exclusive` is the request that interferes, if there is one."""

    load: Load
    settings: Settings
    variants: Sequence[Variant]
    exclusive: Variant | None
    order: random.Random
    make: Callable[[ScenarioName, Variant, bool], Job]
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    notes: list[str] = field(default_factory=list)

    def dealt(self, count: int) -> list[Variant]:
        """So many variants in a random order, all of them as often as each other."""
        dealt = [self.variants[number % len(self.variants)] for number in range(count)]
        self.order.shuffle(dealt)
        return dealt


Scenario = Callable[[Pressure], None]
