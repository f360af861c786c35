"""One right after the other, never two of one variant in a row: what a queue or a cache of adapters gets wrong."""

from __future__ import annotations

from seatrial.prove.stress.scenarios.pressure import Pressure
from seatrial.prove.stress.settings import ScenarioName


def sequential(pressure: Pressure) -> None:
    """Each is sent `settings.gap_seconds` after the one before was accepted, without waiting for its end."""
    for _ in range(pressure.settings.rounds):
        for number in range(pressure.settings.sequential):
            variant = pressure.variants[number % len(pressure.variants)]
            pressure.load.send(pressure.make(ScenarioName.SEQUENTIAL, variant, False))
            pressure.sleep(pressure.settings.gap_seconds)
        pressure.load.settle()
