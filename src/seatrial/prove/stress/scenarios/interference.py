"""An exclusive task, such as training, is sent while inference is under way: neither may harm the other."""

from __future__ import annotations

from seatrial.prove.stress.scenarios.pressure import Pressure
from seatrial.prove.stress.settings import ScenarioName


def interference(pressure: Pressure) -> None:
    """Of each round, half of the requests go before the exclusive one, and half after it."""
    exclusive = pressure.exclusive
    if exclusive is None:
        return
    for _ in range(pressure.settings.rounds):
        dealt = pressure.dealt(pressure.settings.concurrent)
        half = len(dealt) // 2
        for variant in dealt[:half]:
            pressure.load.send(pressure.make(ScenarioName.INTERFERENCE, variant, False))
        pressure.load.send(pressure.make(ScenarioName.INTERFERENCE, exclusive, True))
        for variant in dealt[half:]:
            pressure.load.send(pressure.make(ScenarioName.INTERFERENCE, variant, False))
        pressure.load.settle()
