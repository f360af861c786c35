"""The command line that runs a package's image, and what the container gets to see."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from seatrial.adapters.processes.descendants import SERVER_VARIABLE, WORKER_VARIABLE
from seatrial.domain.limits import CONTAINER_REMOVED_SECONDS_MAX
from seatrial.domain.work import ContainerImage, WorkerSpec

log = structlog.get_logger()

MODEL_FOLDER = "/opt/ml/model"
PODMAN = "podman"
TOLD = (  # variables of the contract, which the worker sets when it starts the container
    "PORT",
    "SAGEMAKER_BIND_TO_PORT",
    "SAGEMAKER_SAFE_PORT_RANGE",
    "SAGEMAKER_BASE_DIR",
    "SM_MODEL_DIR",
)
Mount = tuple[Path, str]  # what is shown, read-only, and where


def is_podman(image: ContainerImage) -> bool:
    """Whether the engine has no daemon: its containers are the worker's own descendants, in the worker's network."""
    return Path(image.engine[0]).name.startswith(PODMAN)


def container_name(worker_id: str) -> str:
    """The name of a worker's container, by which it can be removed."""
    return f"seatrial-{worker_id}"


def run_command(
    image: ContainerImage,
    arguments: Sequence[str],
    name: str,
    mounts: Iterable[Mount],
    variables: Iterable[str],
    device: str | None,
) -> list[str]:
    """How the container is started. Pure.

    Values of variables are in the engine's own environment, so that no list of processes shows them. The container has
    the network of the worker, which is an empty one unless the package asks for the machine's.
    """
    command = [*image.engine, "run", "--rm", f"--name={name}", "--pull=never", "--network=host"]
    command += ["--security-opt=no-new-privileges"]
    command += [f"--volume={source}:{target}:ro" for source, target in mounts]
    command += [f"--env={variable}" for variable in (*sorted(set(variables)), *TOLD, WORKER_VARIABLE, SERVER_VARIABLE)]
    if device == "cuda":
        command.append("--device=nvidia.com/gpu=all" if is_podman(image) else "--gpus=all")
    return [*command, *image.options, image.id, *arguments]


def mounts(spec: WorkerSpec, view: Path) -> list[Mount]:
    """What the container sees: the package, and its weights in it.

    `view` is where the package is put together with its weights, of links: each becomes a mount, and a place for it.
    """
    if not spec.weights:
        return [(spec.package, MODEL_FOLDER)]
    found: list[Mount] = [(view, MODEL_FOLDER)]
    for folder, folders, files in os.walk(view):
        for name in (*folders, *files):
            link = Path(folder, name)
            if link.is_symlink():
                source = link.resolve()
                link.unlink()
                link.mkdir() if source.is_dir() else link.touch()
                found.append((source, f"{MODEL_FOLDER}/{link.relative_to(view)}"))
    return found


def remove_container(image: ContainerImage, name: str) -> None:
    """See to it that nothing of a container is left. Blocks; its processes are gone already."""
    try:
        subprocess.run(
            [*image.engine, "rm", "--force", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CONTAINER_REMOVED_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("container.not_removed", container=name, error=str(error))
