"""At a rate, for a time: requests leave by the clock, whether or not those before them have ended."""

from __future__ import annotations

from seatrial.prove.limits import STRESS_AT_ONCE_MAX
from seatrial.prove.stress.scenarios.pressure import Pressure
from seatrial.prove.stress.settings import ScenarioName


def soak(pressure: Pressure) -> None:
    """`settings.rate` a second for `settings.soak_seconds`; with too many under way, later ones wait for room."""
    count = pressure.settings.jobs_of(ScenarioName.SOAK)
    began, late = pressure.now(), 0
    for number, variant in enumerate(pressure.dealt(count)):
        due = began + number / pressure.settings.rate
        left = due - pressure.now()
        if left > 0:
            pressure.sleep(left)
        elif left < -1:
            late += 1
        pressure.load.begin(pressure.make(ScenarioName.SOAK, variant, False))
    pressure.load.settle()
    if late:
        pressure.notes.append(
            f"the rate was not reached: {late} of {count} requests left more than a second late, with at most "
            f"{STRESS_AT_ONCE_MAX} under way"
        )
