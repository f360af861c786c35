"""The stage `load`: on the device that is asked for, within its budget, with the words in the log that are promised."""

from typing import Any

import pytest

from seatrial.domain.endpoint import EndpointStatus, EndpointVersion, TrialStage
from seatrial.domain.errors import SeatrialError
from seatrial.domain.work import LoadFailed
from seatrial.engine.trial import load as load_stage
from seatrial.worker import devices

TOML = """
[package]
handler = "model:Model"
[worker]
{worker}
[tasks.say.input.text]
type = "string"
[[tasks.say.samples]]
name = "one"
input = "samples/one.json"
"""
MODEL = """
import sys, time
print("weights read from disk")
print("warm-up done in 12 ms", file=sys.stderr)
class Model:
    def __init__(self):
        self.ballast = bytearray(64 * 2**20)
        self.ballast = None
    def say(self, text="?"):
        return {"said": text}
"""


def files(worker: str, model: str = MODEL) -> dict[str, str]:
    return {"seatrial.toml": TOML.format(worker=worker), "model.py": model, "samples/one.json": '{"text": "a"}'}


async def tried(engine: Any, worker: str, model: str = MODEL, **settings: Any) -> tuple[Any, Any]:
    """The endpoint, and the report of its load."""
    await engine.create(engine.package(files(worker, model)), **settings)
    endpoint = await engine.settled()
    versions: list[EndpointVersion] = await engine.deployer.versions("e")
    return endpoint, {one.stage: one for one in versions[-1].stages}.get(TrialStage.LOAD)


without_gpu = pytest.mark.skipif(bool(devices.nodes()), reason="this machine has a GPU")
NO_GPU = "load: The model did not load: the package asks for the device cuda, and this machine shows no GPU"


@without_gpu
@pytest.mark.parametrize("worker", ['device = "cuda"', ""])
async def test_a_gpu_that_is_asked_for_and_not_there(engine: Any, worker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, report = await tried(engine, worker, **({} if worker else {"device": "cuda"}))
    assert endpoint.status is EndpointStatus.FAILED
    assert endpoint.failure_reason.startswith(NO_GPU)
    assert "Remedy: Run the server on a machine with a GPU" in endpoint.failure_reason
    assert report.details["error"] == "device_unavailable"


async def test_a_deployment_may_ask_for_the_cpu_although_the_package_wants_a_gpu(engine: Any) -> None:
    endpoint, report = await tried(engine, 'device = "cuda"', device="cpu")
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    assert report.details["device_wanted"] == "cpu"


@without_gpu
async def test_every_later_worker_is_held_to_its_device(yard: Any) -> None:
    handler = {"handler": "model:Model", "task_methods": {"say": "say"}}
    worker = await yard.start(yard.spec("python", {"model.py": MODEL}, device="cuda", **handler))
    with pytest.raises(LoadFailed) as caught:
        await worker.load()
    assert caught.value.failure.error_type == "device_unavailable"
    assert yard.logs.texts(None) == []  # nothing of the package has run


async def test_what_a_load_took_is_reported(engine: Any) -> None:
    endpoint, report = await tried(
        engine, 'cold_start_seconds = 60\nload_log_patterns = ["^weights read", "(?i)WARM-UP"]'
    )
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    details = report.details
    assert details["memory_peak_bytes"] > details["memory_bytes"] + 32 * 2**20
    assert 0 < details["seconds"] < 60
    assert (details["device"], details["device_used"], details["device_bytes"]) == ("cpu", None, 0)
    assert details["load_log_patterns"] == ["^weights read", "(?i)WARM-UP"]
    assert details["cold_start_seconds"] == 60


async def test_a_load_beyond_its_budget_fails(engine: Any) -> None:
    endpoint, report = await tried(engine, "cold_start_seconds = 0.001")
    assert endpoint.status is EndpointStatus.FAILED
    assert "and its budget is 0.001 s (cold_start_seconds)." in endpoint.failure_reason
    assert report.details["cold_start_seconds"] == 0.001


async def test_a_log_that_does_not_say_what_was_promised_fails(engine: Any) -> None:
    endpoint, report = await tried(engine, 'load_log_patterns = ["^warm-up", "^cuda kernels built$"]')
    assert endpoint.status is EndpointStatus.FAILED
    assert "its log does not hold '^cuda kernels built$' (load_log_patterns)." in endpoint.failure_reason
    assert report.details["missing"] == ["^cuda kernels built$"]
    assert report.details["log"] == ["weights read from disk", "warm-up done in 12 ms"]


async def test_a_line_that_comes_too_fast_for_the_log_counts(engine: Any) -> None:
    model = "for number in range(30_000):\n    print('line', number)\nprint('ready')\n" + MODEL
    endpoint, _ = await tried(engine, 'load_log_patterns = ["^ready$"]', model)
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason


def test_a_model_that_no_sample_shows_on_the_gpu() -> None:
    def loaded(used: bool | None) -> load_stage.Loaded:
        return load_stage.Loaded(1, 1.0, 1, "3.11", device_used=used)

    load_stage.check_used(loaded(None), "cuda", 1_000_000)
    load_stage.check_used(loaded(True), "cuda", 0)
    load_stage.check_used(loaded(None), None, 0)
    with pytest.raises(SeatrialError, match="no sample left a trace of its model on the GPU"):
        load_stage.check_used(loaded(None), "cuda", 0)
