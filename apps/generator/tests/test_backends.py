"""Backends: weights are looked at before they are loaded, and nothing takes their place."""

import hashlib
import json
import shutil
import struct

import generator
import pytest
from generator.backends import WEIGHTS
from generator.weights import SUMS, checked


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
    assert checked(folder, "sdxl", ("config.json",)) == folder


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
    with pytest.raises(generator.NotLoadable, match=said):
        checked(folder, "sdxl", ())


def test_other_weights_than_meant_are_named(folder):
    (folder / SUMS).write_text(f"{'0' * 64}  model.safetensors\n")
    with pytest.raises(generator.NotLoadable, match="another SHA-256"):
        checked(folder, "sdxl", ())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"backend": "sdxl"}, "sdxl needs its weights; give `weights`"),
        ({"backend": "flux"}, "flux needs its weights; give `weights`"),
        ({"backend": "sdxl", "weights": "/nowhere"}, "model_index.json is missing"),
        ({"backend": "magic"}, "valid are small, sdxl, flux"),
        ({"device": "tpu"}, "valid are auto, cpu and cuda"),
    ],
)
def test_a_backend_that_cannot_be_had_is_no_reason_to_take_another(given, said):
    with pytest.raises(generator.NotLoadable, match=said) as refused:
        generator.load(**given)
    assert refused.value.remedy


def test_a_gpu_that_is_asked_for_must_be_there():
    import torch

    if torch.cuda.is_available():
        assert generator.load(device="cuda").device == "cuda"
    else:
        with pytest.raises(generator.NotLoadable, match="sees no GPU"):
            generator.load(device="cuda")


def test_another_models_weights_are_named(tmp_path):
    shutil.copytree(WEIGHTS, tmp_path, dirs_exist_ok=True)
    (tmp_path / SUMS).unlink()
    config = json.loads((tmp_path / "unet" / "config.json").read_text())
    (tmp_path / "unet" / "config.json").write_text(json.dumps({**config, "block_out_channels": [64, 64, 96]}))
    with pytest.raises(generator.NotLoadable, match="cannot be loaded as small"):
        generator.load(weights=tmp_path)
