"""The command line that runs a package's image, and what of the package it mounts."""

from pathlib import Path

from seatrial.adapters.processes.container import MODEL_FOLDER, mounts, run_command
from seatrial.domain.work import ContainerImage, WorkerSpec

ID = "sha256:" + "a" * 64
PODMAN = ContainerImage(("/usr/bin/podman", "--runtime=crun"), ("--shm-size=1g",), ID)
DOCKER = ContainerImage(("/usr/bin/docker",), (), ID)
MOUNTS = [(Path("/p"), MODEL_FOLDER)]


def test_the_whole_command_line() -> None:
    assert run_command(PODMAN, ["serve"], "seatrial-w", MOUNTS, ["TOKEN", "MODE"], None) == [
        "/usr/bin/podman",
        "--runtime=crun",
        "run",
        "--rm",
        "--name=seatrial-w",
        "--pull=never",
        "--network=host",
        "--security-opt=no-new-privileges",
        "--volume=/p:/opt/ml/model:ro",
        "--env=MODE",
        "--env=TOKEN",
        "--env=PORT",
        "--env=SAGEMAKER_BIND_TO_PORT",
        "--env=SAGEMAKER_SAFE_PORT_RANGE",
        "--env=SAGEMAKER_BASE_DIR",
        "--env=SM_MODEL_DIR",
        "--env=SEATRIAL_WORKER",
        "--env=SEATRIAL_SERVER_ID",
        "--shm-size=1g",
        ID,
        "serve",
    ]


def test_a_gpu_is_passed_through_where_it_is_declared() -> None:
    assert "--device=nvidia.com/gpu=all" in run_command(PODMAN, [], "n", MOUNTS, [], "cuda")
    assert "--gpus=all" in run_command(DOCKER, [], "n", MOUNTS, [], "cuda")
    for device in (None, "cpu"):
        assert not any("gpu" in word for word in run_command(DOCKER, [], "n", MOUNTS, [], device))


def test_the_image_and_its_arguments_come_last() -> None:
    assert run_command(DOCKER, ["--port", "1"], "n", MOUNTS, [], None)[-3:] == [ID, "--port", "1"]
    assert run_command(DOCKER, [], "n", MOUNTS, [], None)[-1] == ID


def test_weights_are_mounted_into_the_package(tmp_path: Path) -> None:
    package, view, weights, shards = (tmp_path / name for name in ("package", "view", "walls.bin", "shards"))
    for folder in (package, view / "weights", shards):
        folder.mkdir(parents=True)
    (package / "code.py").touch()
    weights.touch()
    (view / "code.py").symlink_to(package / "code.py")
    (view / "weights" / "walls.bin").symlink_to(weights)
    (view / "shards").symlink_to(shards)
    spec = WorkerSpec("e", "v", "http", package, Path("/python"), tmp_path, {})
    assert mounts(spec, view) == [(package, MODEL_FOLDER)]
    with_weights = WorkerSpec(
        "e", "v", "http", package, Path("/python"), tmp_path, {}, weights={"weights/walls.bin": weights}
    )
    first, *others = mounts(with_weights, view)
    assert first == (view, MODEL_FOLDER)
    assert sorted(others) == sorted(
        [
            (package / "code.py", f"{MODEL_FOLDER}/code.py"),
            (weights, f"{MODEL_FOLDER}/weights/walls.bin"),
            (shards, f"{MODEL_FOLDER}/shards"),
        ]
    )
    assert not any(path.is_symlink() for path in view.rglob("*"))  # each is a place to mount on
