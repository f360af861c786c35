"""The big backends: their weights are looked at before they are loaded, and nothing takes their place."""

import hashlib
import json
import struct

import pytest
from gen3d import device, embedding, reconstruction
from gen3d.errors import NotLoadable
from gen3d.weights import SUMS, checked


def safetensors(numbers: int, cut: int = 0) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}).encode()
    whole = struct.pack("<Q", len(header)) + header + b"\0" * (4 * numbers)
    return whole[: len(whole) - cut]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(safetensors(8))
    return tmp_path


def test_whole_weights_are_taken(folder):
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / SUMS).write_text(f"{digest}  model.safetensors\n")
    assert checked(str(folder), "W", ("config.json",)) == folder


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (safetensors(8, cut=5), "was cut off"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "Git LFS pointer"),
        (b"\xff" * 40, "no header"),
        (b"", "no header"),
    ],
)
def test_damaged_weights_are_named(folder, content, said):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(NotLoadable, match=said):
        checked(str(folder), "W", ())


def test_other_weights_than_meant_are_named(folder):
    (folder / SUMS).write_text(f"{'0' * 64}  model.safetensors\n")
    with pytest.raises(NotLoadable, match="another SHA-256"):
        checked(str(folder), "W", ())


@pytest.mark.parametrize(
    ("load", "name", "said"),
    [
        (embedding.load, "sam3", "set GEN3D_SAM3_WEIGHTS"),
        (embedding.load, "clip", "valid are efficientnet-lite0, sam3"),
        (reconstruction.load, "sam3d-objects", "set GEN3D_SAM3D_WEIGHTS"),
        (reconstruction.load, "magic", "valid are inflation, sam3d-objects"),
    ],
)
def test_a_backend_that_cannot_be_had_is_no_reason_to_take_another(load, name, said):
    with pytest.raises(NotLoadable, match=said):
        load(name, "cpu", "")


def test_sam3d_objects_needs_a_gpu(tmp_path):
    (tmp_path / "pipeline.yaml").write_text("{}")
    with pytest.raises(NotLoadable, match="runs on a GPU only"):
        reconstruction.load("sam3d-objects", "cpu", str(tmp_path))


def test_a_gpu_that_is_asked_for_must_be_there():
    import torch

    assert device.chosen("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(NotLoadable, match="sees no GPU"):
            device.chosen("cuda")
    with pytest.raises(NotLoadable, match="valid are auto"):
        device.chosen("tpu")
