"""Trials of packages that ask for a GPU, in real worker processes.

There is none here: what the system shows as one is a node that is always there, and torch is a small one of the
package's own, which says where its tensors are.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes import launch
from seatrial.domain.endpoint import EndpointStatus, TrialStage
from seatrial.worker import devices

TOML = """
[package]
handler = "model:Model"
[worker]
device = "cuda"
[tasks.say.input.text]
type = "string"
[[tasks.say.samples]]
name = "one"
input = "samples/one.json"
"""
TORCH = """
__version__ = "2.9.0"

class Tensor:
    def __init__(self, device, count):
        self.device, self._count = device, count
    def numel(self):
        return self._count
    def element_size(self):
        return 4

class nn:
    class Module:
        def __init__(self, device, count):
            self._parameters, self._buffers = {"weight": Tensor(device, count)}, {}
            cuda.held += count * 4 if device == "cuda:0" else 0

class version:
    cuda = "12.6"

class cuda:
    held = 0
    is_available = staticmethod(lambda: True)
    is_initialized = staticmethod(lambda: cuda.held > 0)
    device_count = staticmethod(lambda: 1)
    memory_allocated = staticmethod(lambda index: cuda.held)
    max_memory_allocated = staticmethod(lambda: cuda.held)
    reset_peak_memory_stats = synchronize = empty_cache = staticmethod(lambda: None)
"""
MODEL = """
import torch
class Model:
    def __init__(self):
        self.net = {at_load}
    def say(self, text="?"):
        self.net = self.net or {at_first}
        return {{"said": text}}
"""
ON_GPU, ON_CPU = "torch.nn.Module('cuda:0', 10**6)", "torch.nn.Module('cpu', 10**6)"


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers from now on see the node of a GPU."""
    folder = tmp_path / "worker"
    shutil.copytree(launch.WORKER_FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    source = (folder / "devices.py").read_text()
    changed = source.replace(f'NODES = ("{devices.NODES[0]}", ', 'NODES = ("/dev/null", ')
    assert changed != source
    (folder / "devices.py").write_text(changed)
    monkeypatch.setattr(launch, "WORKER_FOLDER", folder)


async def tried(engine: Any, at_load: str, at_first: str = "None") -> tuple[Any, Any]:
    """The endpoint, and the reports of its trial."""
    files = {
        "seatrial.toml": TOML,
        "model.py": MODEL.format(at_load=at_load, at_first=at_first),
        "torch/__init__.py": TORCH,
        "samples/one.json": '{"text": "one"}',
    }
    await engine.create(engine.package(files))
    endpoint = await engine.settled()
    versions = await engine.deployer.versions("e")
    return endpoint, {one.stage: one for one in versions[-1].stages}


async def test_a_model_on_the_gpu(engine: Any, gpu: None) -> None:
    endpoint, found = await tried(engine, ON_GPU)
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    details = found[TrialStage.LOAD].details
    assert (details["device"], details["device_used"], details["device_bytes"]) == ("cuda:0", True, 4_000_000)
    assert details["device_evidence"].startswith("torch modules hold 4,000,000 bytes on cuda:0")


async def test_a_model_that_fell_to_the_cpu_without_a_word(engine: Any, gpu: None) -> None:
    endpoint, found = await tried(engine, ON_CPU)
    assert endpoint.status is EndpointStatus.FAILED
    assert "its model was loaded onto the CPU: torch modules hold 4,000,000 bytes on cpu" in endpoint.failure_reason
    assert "Remedy: Load onto the GPU" in endpoint.failure_reason
    assert found[TrialStage.LOAD].details["error"] == "device_not_used"


async def test_a_model_that_is_loaded_with_the_first_request(engine: Any, gpu: None) -> None:
    endpoint, found = await tried(engine, "None", ON_GPU)
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    assert "no model is to be seen on the GPU yet, so a sample has to show it" in found[TrialStage.LOAD].message


async def test_a_model_that_is_nowhere_to_be_seen(engine: Any, gpu: None) -> None:
    endpoint, _ = await tried(engine, "None", ON_CPU)
    assert endpoint.status is EndpointStatus.FAILED
    assert endpoint.failure_reason.startswith("prove: The package asks for the device cuda, and no sample left a trace")
