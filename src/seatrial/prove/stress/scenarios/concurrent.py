"""Many at once: all requests of a round leave at the same moment, each from a thread of its own."""

from __future__ import annotations

import threading

from seatrial.prove.stress.scenarios.pressure import Pressure
from seatrial.prove.stress.settings import ScenarioName


def concurrent(pressure: Pressure) -> None:
    """`settings.concurrent` at once, `settings.rounds` times; each round waits for the one before."""
    for _ in range(pressure.settings.rounds):
        go = threading.Event()
        try:
            for variant in pressure.dealt(pressure.settings.concurrent):
                pressure.load.begin(pressure.make(ScenarioName.CONCURRENT, variant, False), go)
        finally:
            go.set()
        pressure.load.settle()
