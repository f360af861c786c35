"""Races: `seatrial stress` against the live studio, one scenario for each test, with its five counters.

| variable | |
|---|---|
| `STRESS_TEST_CONCURRENT` | pictures at once, 10 unless set |
| `STRESS_TEST_SEQUENTIAL` | pictures in a row, each with another adapter, 5 unless set |
| `STRESS_TEST_LORAS` | adapters to ask for, as `lora_path` names them, with commas; else as many are trained first |
"""

from __future__ import annotations

import os

import pytest
from client import MINER_URL, StudioClient
from conftest import SEQUENTIAL

from seatrial.prove.callbacks import Receiver
from seatrial.prove.contract import Contract, Output, Sample, Task
from seatrial.prove.stress.callbacks import Callbacks
from seatrial.prove.stress.report import Report, summary_lines
from seatrial.prove.stress.run import Plan, Run
from seatrial.prove.stress.settings import ScenarioName, Settings
from seatrial.prove.stress.variants import exclusive_of, variants_of
from seatrial.prove.targets.studio import StudioTarget
from seatrial.prove.validate import STUDIO

CONCURRENT = int(os.environ.get("STRESS_TEST_CONCURRENT", "10"))
ASKED = {"prompt": "a lighthouse in a meadow at noon", "seed": 11, "num_inference_steps": 8}


class Quiet:
    """Nobody is told how far the run is."""

    def begin(self, what: str, total: int) -> None: ...

    def step(self, bad: bool) -> None: ...


def contract_of(adapters: list[str], training: dict[str, object]) -> Contract:
    """One prompt and seed with each adapter, so that pictures differ by nothing else; and a training."""
    samples = tuple(
        Sample(name=f"adapter-{number}", input={**ASKED, "lora_path": adapter})
        for number, adapter in enumerate(adapters, 1)
    )
    picture = Output(media_type="image/png", profile=STUDIO)
    train = Task(name="train", samples=(Sample(name="short", input=dict(training)),), exclusive=True)
    return Contract(tasks=(Task(name="inference", samples=samples, output=picture), train))


@pytest.fixture
def pressed(miner: StudioClient, receiver: Receiver, secret: str, adapters: list[str], training: dict[str, object]):
    """Runs one scenario and prints its summary."""

    def run(scenario: ScenarioName) -> Report:
        contract = contract_of(adapters, training)
        settings = Settings(scenarios=(scenario,), rounds=1, concurrent=CONCURRENT, sequential=SEQUENTIAL)
        plan = Plan(settings, variants_of(contract), exclusive_of(contract, None), Callbacks(receiver, secret))
        with StudioTarget(MINER_URL, os.environ.get("STUDIO_API_KEY")) as target:
            report = Run(target, plan, Quiet()).run()
        print("\n" + "\n".join(summary_lines(report)))
        return report

    return run


def told(report: Report) -> list[str]:
    """What is wrong, a line for each job."""
    return report.alone + [f"{job.name}: {why.reason}" for job in report.bad for why in job.problems]


def test_rapid_concurrent_inference(pressed) -> None:
    """Many pictures at once, with different adapters."""
    assert told(pressed(ScenarioName.CONCURRENT)) == []


def test_rapid_sequential_different_loras(pressed) -> None:
    """One right after the other, each with another adapter."""
    assert told(pressed(ScenarioName.SEQUENTIAL)) == []


def test_training_interference(pressed) -> None:
    """A training in the middle of them."""
    assert told(pressed(ScenarioName.INTERFERENCE)) == []
