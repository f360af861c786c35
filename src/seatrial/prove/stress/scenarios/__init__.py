"""What is done to a target, one scenario a file: each makes its jobs, sends them, and waits for their ends."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.prove.stress.scenarios.concurrent import concurrent
from seatrial.prove.stress.scenarios.interference import interference
from seatrial.prove.stress.scenarios.pressure import Pressure, Scenario
from seatrial.prove.stress.scenarios.sequential import sequential
from seatrial.prove.stress.scenarios.soak import soak
from seatrial.prove.stress.settings import ScenarioName

SCENARIOS: Mapping[ScenarioName, Scenario] = {
    ScenarioName.CONCURRENT: concurrent,
    ScenarioName.SEQUENTIAL: sequential,
    ScenarioName.INTERFERENCE: interference,
    ScenarioName.SOAK: soak,
}

__all__ = ["SCENARIOS", "Pressure", "Scenario"]
