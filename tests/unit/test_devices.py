"""Where the worker finds a model. What is faked is the world outside: torch, ONNX Runtime, the driver, device nodes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from seatrial.worker import devices
from seatrial.worker.devices import DeviceMissing, Sighting
from seatrial.worker.vitals import Vitals

MIB = 2**20
GPU_NODES = ["/dev/nvidia0"]


class Tensor:
    def __init__(self, device: str, count: int) -> None:
        self.device = device
        self._count = count

    def numel(self) -> int:
        return self._count

    def element_size(self) -> int:
        return 4


class Module:
    def __init__(self, device: str, mebibytes: int, **more: Any) -> None:
        self._parameters = {"weight": Tensor(device, mebibytes * MIB // 4), "bias": None}
        self._buffers: dict[str, Any] = {}
        vars(self).update(more)


class Session:
    def __init__(self, *providers: str) -> None:
        self._providers = [f"{one}ExecutionProvider" for one in providers]

    def get_providers(self) -> list[str]:
        return self._providers


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Put libraries and a driver in place; what it returns has classes that no other test has instances of."""

    def make(
        *, torch: bool = False, cuda: str | None = "12.6", available: bool = True, allocated: int | None = None,
        onnx: bool = False, driver: dict[int, int] | None = None, nodes: list[str] = GPU_NODES,
    ) -> Any:  # fmt: skip
        own = SimpleNamespace(Module=type("Own", (Module,), {}), Session=type("OwnSession", (Session,), {}))
        if torch:
            module = SimpleNamespace(
                is_available=lambda: available,
                is_initialized=lambda: allocated is not None,
                device_count=lambda: 1,
                memory_allocated=lambda index: allocated,
            )
            fake = SimpleNamespace(
                nn=SimpleNamespace(Module=own.Module),
                cuda=module,
                version=SimpleNamespace(cuda=cuda),
                __version__="2.9.0",
            )
            monkeypatch.setitem(sys.modules, "torch", fake)
        if onnx:
            monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=own.Session))
        monkeypatch.setattr(devices, "nodes", lambda: nodes)
        monkeypatch.setattr(devices, "_driver_bytes", lambda: driver or {})
        return own

    return make


def missing(seen: Sighting) -> DeviceMissing:
    with pytest.raises(DeviceMissing) as caught:
        devices.require_used("cuda", seen)
    return caught.value


def test_a_model_on_the_gpu_is_seen_by_its_parameters(world: Any) -> None:
    own = world(torch=True, allocated=300 * MIB)
    held = [own.Module("cuda:0", 200), own.Module("cpu", 90)]
    seen = devices.sight()
    assert (seen.device, seen.used, seen.device_bytes) == ("cuda:0", True, 300 * MIB)
    assert f"torch modules hold {200 * MIB:,} bytes on cuda:0" in seen.evidence
    devices.require_used("cuda", seen)
    assert held


def test_a_model_that_fell_to_the_cpu_is_refused(world: Any) -> None:
    own = world(torch=True, allocated=4)  # a first small tensor made the context, and no more
    held = own.Module("cpu", 200)
    seen = devices.sight()
    assert (seen.device, seen.used, seen.device_bytes) == ("cpu", False, 0)
    error = missing(seen)
    assert error.error_type == "device_not_used"
    assert "its model was loaded onto the CPU: torch modules hold 209,715,200 bytes on cpu" in str(error)
    assert 'device = "cpu"' in error.remedy
    devices.require_used("cpu", seen)
    devices.require_used(None, seen)
    assert held


@pytest.mark.parametrize("hook", ["_hf_hook", "_diffusers_hook"])
def test_a_module_that_is_moved_when_it_runs_is_no_fall(world: Any, hook: str) -> None:
    own = world(torch=True, allocated=0)
    held = own.Module("cpu", 200, **{hook: object()})
    assert devices.sight().used is True
    assert held


def test_tensors_that_belong_to_no_module_count_as_well(world: Any) -> None:
    own = world(torch=True, allocated=500 * MIB)
    held = own.Module("cpu", 100)
    assert devices.sight().used is True
    assert held


@pytest.mark.parametrize(
    ("cuda", "words"),
    [(None, "torch 2.9.0 is a build for the CPU"), ("12.6", "torch 2.9.0 for CUDA 12.6 finds no GPU that it can use")],
)
def test_torch_that_cannot_reach_a_gpu_is_named(world: Any, cuda: str | None, words: str) -> None:
    own = world(torch=True, cuda=cuda, available=False)
    held = own.Module("cpu", 100)
    error = missing(devices.sight())
    assert error.error_type == "device_unavailable"
    assert words in str(error)
    assert held


def test_onnx_runtime_falls_silently(world: Any) -> None:
    own = world(onnx=True)
    held = [own.Session("CPU")]
    error = missing(devices.sight())
    assert error.error_type == "device_not_used"
    assert "an ONNX Runtime session runs with CPUExecutionProvider" in str(error)
    held.append(own.Session("CUDA", "CPU"))
    assert devices.sight().used is True


def test_a_model_of_another_library_is_seen_by_the_driver(world: Any) -> None:
    world(driver={1: 700 * MIB})
    seen = devices.sight()
    assert (seen.device, seen.used, seen.device_bytes) == ("cuda", True, 700 * MIB)


def test_where_nothing_is_to_be_seen_nothing_is_concluded(world: Any) -> None:
    own = world(torch=True)
    held = own.Module("cpu", 0)
    seen = devices.sight()
    assert (seen.device, seen.used, seen.evidence) == ("cpu", None, "torch modules hold 0 bytes on cpu")
    devices.require_used("cuda", seen)
    assert held


def test_a_library_that_cannot_be_asked_decides_nothing(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = world(onnx=True)
    monkeypatch.setattr(own.Session, "get_providers", lambda self: 1 / 0)
    held = own.Session("CPU")
    assert devices.sight().used is None
    assert held


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_gpus_are_named(world: Any, monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    world()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices.require_present("cpu")
    devices.require_present(None)
    with pytest.raises(DeviceMissing, match=f"CUDA_VISIBLE_DEVICES='{visible}' hides every GPU"):
        devices.require_present("cuda")


def test_a_machine_without_a_gpu_is_refused_before_anything_is_loaded(world: Any) -> None:
    world(nodes=[])
    with pytest.raises(DeviceMissing, match="this machine shows no GPU"):
        devices.require_present("cuda")


class Nvml:
    """The calls of libnvidia-ml.so.1 that are made, with one process on the second of two GPUs."""

    def __init__(self, pid: int, used_bytes: int) -> None:
        self._process = (pid, used_bytes)
        self.open = 0

    def nvmlInit_v2(self) -> int:  # noqa: N802
        self.open += 1
        return 0

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.open -= 1
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:  # noqa: N802
        handle._obj.value = index + 1
        return 0

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, processes: Any) -> int:  # noqa: N802
        assert count._obj.value == len(processes)
        count._obj.value = 0
        if handle.value == 2:
            count._obj.value = 1
            processes[0].pid, processes[0].used_bytes = self._process
        return 0


def test_the_drivers_list_of_processes() -> None:
    own = devices._own_pids()
    assert own
    nvml = Nvml(next(iter(own)), 5 * MIB)
    assert devices.nvml_bytes(nvml, own) == {1: 5 * MIB}
    assert devices.nvml_bytes(Nvml(next(iter(own)), 2**64 - 1), own) == {1: 1}
    assert devices.nvml_bytes(Nvml(0, 5 * MIB), own) == {}
    assert nvml.open == 0
    assert ctypes.sizeof(devices._NvmlProcess) == 24


def test_a_job_is_told_with_what_the_driver_says_where_torch_cannot() -> None:
    vitals = Vitals()
    assert "device_peak" not in vitals.measured(0)
    vitals.ask_driver = lambda: 7 * MIB
    assert vitals.measured(0)["device_peak"] == 7 * MIB
