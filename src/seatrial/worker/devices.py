"""Where the model is: on a GPU or on the CPU, as far as its own process can know.

Libraries are asked only if the user's code has loaded them. What a library cannot say (a model in a child process,
TensorFlow, CuPy) shows in the driver's list of processes, which NVML has; it may not know those of a container, so
that nothing is ever concluded from an absence there.
"""

from __future__ import annotations

import ctypes
import gc
import glob
import os
import sys
from typing import Any, Callable, Dict, FrozenSet, List, NamedTuple, Optional, Tuple  # noqa: UP035  (Python 3.9)

# ruff: noqa: TID252, UP006, UP045  (private package name; Python 3.9)
from . import session
from .vitals import cuda

CUDA = "cuda"
CPU = "cpu"
NODES = ("/dev/nvidia[0-9]*", "/dev/dxg", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/kfd")  # WSL, Jetson and ROCm too
HIDDEN = ("", "-1", "NoDevFiles")  # values of CUDA_VISIBLE_DEVICES that hide every GPU
GPU_PROVIDERS = frozenset(
    f"{name}ExecutionProvider"
    for name in ("CUDA", "Tensorrt", "NvTensorRtRtx", "NvTensorRTRTX", "ROCM", "MIGraphX", "Dml")
)
OFFLOADERS = ("_hf_hook", "_diffusers_hook")  # of modules that rest on the CPU and are moved when they run
WEIGHTS_BYTES_MIN = 1024 * 1024  # fewer on the CPU are no model that should have been elsewhere
NVML_LIBRARY = "libnvidia-ml.so.1"
NVML_PROCESSES_MAX = 256
NVML_UNKNOWN_BYTES = 2**64 - 1


class DeviceMissing(Exception):
    """The package asks for a GPU, and its model is not on one."""

    def __init__(self, error_type: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.remedy = remedy


class Sighting(NamedTuple):
    """`used`: whether a GPU holds something of the model; None: nothing of a model is to be seen yet.

    `device` is such as "cuda:0" or "cpu"; `device_bytes` is what this process holds there; `evidence` is for people.
    """

    device: str
    used: Optional[bool]
    device_bytes: int
    evidence: str


def nodes() -> List[str]:
    """What the system shows of GPUs."""
    return sorted(path for pattern in NODES for path in glob.glob(pattern))


def require_present(wanted: Optional[str]) -> None:
    """Before anything is loaded: is there a GPU at all?

    Raises:
        DeviceMissing: device_unavailable.
    """
    if wanted != CUDA:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in HIDDEN:
        message = f"the package asks for the device cuda, and CUDA_VISIBLE_DEVICES={visible!r} hides every GPU"
        raise DeviceMissing("device_unavailable", message, "Take CUDA_VISIBLE_DEVICES out of [env], or name a GPU.")
    if not nodes():
        message = "the package asks for the device cuda, and this machine shows no GPU (no /dev/nvidia0 or its like)"
        remedy = (
            "Run the server on a machine with a GPU and its driver (in a container: docker run --gpus all), or "
            'set device = "cpu" in [worker] if the model may run on the CPU.'
        )
        raise DeviceMissing("device_unavailable", message, remedy)


def require_used(wanted: Optional[str], seen: Sighting) -> None:
    """After the loading: did the model fall to the CPU without a word?

    Raises:
        DeviceMissing: device_unavailable, device_not_used.
    """
    if wanted != CUDA or seen.used:
        return
    torch = sys.modules.get("torch")
    if torch is not None and not torch.cuda.is_available() and (seen.used is False or _cuda_build(torch)):
        raise _unavailable_to_torch(torch, seen)
    if seen.used is False:
        message = f"the package asks for the device cuda, and its model was loaded onto the CPU: {seen.evidence}"
        remedy = (
            "Load onto the GPU (model.to('cuda'), providers=['CUDAExecutionProvider']) without a fallback to the CPU, "
            'and require builds for CUDA; or set device = "cpu" in [worker].'
        )
        raise DeviceMissing("device_not_used", message, remedy)


def sight() -> Sighting:
    """Look for the model."""
    try:
        return _sight()
    except Exception as error:  # noqa: BLE001  a library's own; after a device fault every call may raise
        return Sighting(CPU, None, 0, f"the libraries could not be asked: {type(error).__name__}: {error}")


def _sight() -> Sighting:
    torch = sys.modules.get("torch")
    weights, offloaded = _torch_weights(torch) if hasattr(torch, "nn") else ({}, False)
    allocated = _torch_allocated()
    sessions = _onnx_providers()
    driver = _driver_bytes() if nodes() else {}
    used = _is_used(weights, offloaded, allocated, sessions, driver)
    on_gpu = {name: size for name, size in weights.items() if name.startswith(CUDA)}
    name = next(iter([*allocated, *on_gpu]), CUDA) if used else CPU
    held = max(sum(allocated.values()), sum(driver.values()), sum(on_gpu.values()))
    return Sighting(name, used, held if used else 0, _evidence(weights, allocated, sessions, driver))


def driver_bytes() -> int:
    """What the driver says that this process and its children hold on GPUs; 0 also where it cannot say."""
    return sum(_driver_bytes().values())


def _is_used(
    weights: Dict[str, int],
    offloaded: bool,
    allocated: Dict[str, int],
    sessions: List[List[str]],
    driver: Dict[int, int],
) -> Optional[bool]:
    if offloaded or any(name.startswith(CUDA) for name in weights):
        return True
    if any(GPU_PROVIDERS.intersection(providers) for providers in sessions):
        return True
    on_cpu = weights.get(CPU, 0)
    if allocated and sum(allocated.values()) * 2 >= on_cpu:  # tensors that belong to no module
        return True
    if driver and not allocated:  # another library's
        return True
    return False if on_cpu >= WEIGHTS_BYTES_MIN or sessions else None


def _evidence(
    weights: Dict[str, int], allocated: Dict[str, int], sessions: List[List[str]], driver: Dict[int, int]
) -> str:
    said = [f"torch modules hold {size:,} bytes on {name}" for name, size in sorted(weights.items())]
    said += [f"torch has allocated {size:,} bytes on {name}" for name, size in allocated.items()]
    said += [f"an ONNX Runtime session runs with {', '.join(providers)}" for providers in sessions[:3]]
    said += [f"the driver knows of {size:,} bytes on GPU {index}" for index, size in driver.items()]
    return "; ".join(said) or "nothing of a model is to be seen yet"


# ---------------------------------------------------------------------- torch


def _torch_weights(torch: Any) -> Tuple[Dict[str, int], bool]:
    """Bytes of the parameters and buffers of every module, by device; whether some module is moved when it runs."""
    sizes: Dict[str, int] = {}
    seen = set()
    offloaded = False
    for module in _instances(torch.nn.Module):
        held = vars(module)
        offloaded = offloaded or any(held.get(name) is not None for name in OFFLOADERS)
        for tensor in (*held.get("_parameters", {}).values(), *held.get("_buffers", {}).values()):
            if tensor is None or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            name = str(tensor.device)
            sizes[name] = sizes.get(name, 0) + tensor.numel() * tensor.element_size()
    sizes.pop("meta", None)  # no bytes at all
    return sizes, offloaded


def _torch_allocated() -> Dict[str, int]:
    module = cuda()
    if module is None:
        return {}
    found = {f"{CUDA}:{index}": int(module.memory_allocated(index)) for index in range(module.device_count())}
    return {name: size for name, size in found.items() if size}


def _cuda_build(torch: Any) -> bool:
    return bool(torch.version.cuda or getattr(torch.version, "hip", None))


def _unavailable_to_torch(torch: Any, seen: Sighting) -> DeviceMissing:
    message = f"the package asks for the device cuda, and torch {torch.__version__} "
    if not _cuda_build(torch):
        message += f"is a build for the CPU: {seen.evidence}"
        return DeviceMissing("device_unavailable", message, "Require the build of torch for CUDA, then deploy again.")
    message += f"for CUDA {torch.version.cuda} finds no GPU that it can use: {seen.evidence}"
    remedy = "Look at nvidia-smi on the server: the driver may be older than this CUDA, or the GPU not given to it."
    return DeviceMissing("device_unavailable", message, remedy)


# ---------------------------------------------------------------------- ONNX Runtime


def _onnx_providers() -> List[List[str]]:
    """Of each session, its execution providers."""
    session = getattr(sys.modules.get("onnxruntime"), "InferenceSession", None)
    return [list(one.get_providers()) for one in _instances(session)] if session is not None else []


def _instances(kind: type) -> List[Any]:
    """All that the garbage collector knows. By `type`: `isinstance` would make lazy objects load things."""
    return [one for one in gc.get_objects() if issubclass(type(one), kind)]


# ---------------------------------------------------------------------- the driver


class _NvmlProcess(ctypes.Structure):
    """nvmlProcessInfo_t of NVML 11 and later (nvml.h); before, it ended after the second field."""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used_bytes", ctypes.c_ulonglong),
        ("instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


def _driver_bytes() -> Dict[int, int]:
    """Bytes that the processes of this worker hold, by GPU; those GPUs only on which they are known."""
    try:
        library = ctypes.CDLL(NVML_LIBRARY)
    except OSError:
        return {}
    return nvml_bytes(library, _own_pids())


def nvml_bytes(library: Any, pids: FrozenSet[int]) -> Dict[int, int]:
    """The same of NVML, for these processes. Sizes that it does not know count as one byte."""
    listed: Optional[Callable[..., int]] = None
    for version in ("_v3", "_v2"):
        listed = listed or getattr(library, f"nvmlDeviceGetComputeRunningProcesses{version}", None)
    if listed is None or library.nvmlInit_v2() != 0:
        return {}
    try:
        count = ctypes.c_uint()
        library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        found = {index: _bytes_on(library, listed, index, pids) for index in range(count.value)}
    finally:
        library.nvmlShutdown()
    return {index: size for index, size in found.items() if size}


def _bytes_on(library: Any, listed: Callable[..., int], index: int, pids: FrozenSet[int]) -> int:
    handle = ctypes.c_void_p()
    if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != 0:
        return 0
    processes = (_NvmlProcess * NVML_PROCESSES_MAX)()
    count = ctypes.c_uint(NVML_PROCESSES_MAX)
    if listed(handle, ctypes.byref(count), processes) != 0:
        return 0
    own = [one.used_bytes for one in processes[: count.value] if one.pid in pids]
    return sum(1 if size == NVML_UNKNOWN_BYTES else size for size in own)


def _own_pids() -> FrozenSet[int]:
    """This process and those of its session, by every number that this system may know them by (pid namespaces)."""
    found: set[int] = set()
    for pid in (os.getpid(), *session.others()):
        try:
            found.update(_numbers_of(pid))
        except OSError:
            pass  # gone meanwhile, or not ours to ask about
    return frozenset(found)


def _numbers_of(pid: int) -> List[int]:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        line = next((line for line in file if line.startswith("NSpid:")), f"NSpid: {pid}")
    return [int(one) for one in line.split()[1:]]
