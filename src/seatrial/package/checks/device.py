"""Do the requirements fit the device that the package declares, and does this machine have it?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from seatrial.package.finding import Finding
from seatrial.package.requirements import Line
from seatrial.package.target import Target

ID = "device"
GPU_BUILDS = re.compile(r"(-gpu|-cuda\d*x?|-cu\d+)$|^nvidia-|^tensorrt")
GPU_VERSION = re.compile(r"\+cu\d+$")
CPU_VERSION = re.compile(r"\+cpu$")
GPU_INDEX = re.compile(r"/whl/(nightly/)?cu\d+")
CPU_INDEX = re.compile(r"/whl/(nightly/)?cpu")
CPU_ONLY = {"faiss-cpu": "faiss-gpu-cu12", "onnxruntime": "onnxruntime-gpu", "tensorflow-cpu": "tensorflow[and-cuda]"}


def check_device(device: str | None, lines: list[Line], target: Target) -> Iterator[Finding]:
    """Builds for the other device, and a device that is not here."""
    for line in lines:
        version = next((one.version for one in line.requirement.specifier), "") if line.requirement else ""
        gpu = bool(GPU_BUILDS.search(line.name) or GPU_VERSION.search(version) or GPU_INDEX.search(line.text))
        cpu = bool(line.name in CPU_ONLY or CPU_VERSION.search(version) or CPU_INDEX.search(line.text))
        if device == "cpu" and gpu:
            message = f"{line.file}, line {line.number}: {line.text!r} is built for CUDA, and the package declares cpu."
            remedy = (
                'Require the build for the CPU, which is gigabytes smaller, or declare device = "cuda" in [worker].'
            )
            yield Finding(ID, "warning", message, remedy, line.file, line.number)
        elif device == "cuda" and cpu:
            right = CPU_ONLY.get(line.name, "the build for CUDA")
            message = f"{line.file}, line {line.number}: {line.text!r} cannot use a GPU, and the package declares cuda."
            yield Finding(ID, "error", message, f"Require {right}.", line.file, line.number)
    if device == "cuda" and target.has_gpu is False:
        message = (
            "The package declares the device cuda, and this machine has no NVIDIA driver: it cannot be tried here."
        )
        yield Finding(ID, "unprovable", message, "Run the trial on a machine with a GPU.", "seatrial.toml")
