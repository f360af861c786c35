"""The big backends: their weights are looked at before they are loaded, and nothing takes their place."""

import hashlib
import json
import shutil
import struct
import tomllib

import numpy as np
import pytest
from conftest import APP
from gen3d import device, embedding, reconstruction
from gen3d.errors import NotLoadable
from gen3d.weights import SUMS, checked
from PIL import Image
from safetensors.numpy import load_file, save_file


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


SMALL = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
TOWER = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {
    "backbone_config": TOWER | {
        "model_type": "sam3_vit_model", "image_size": 56, "patch_size": 14, "window_size": 2,
        "global_attn_indexes": [0], "pretrain_image_size": 28,
    },
    "fpn_hidden_size": 32,
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
}  # fmt: skip
PREPARATION = {"size": {"height": 56, "width": 56}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


@pytest.fixture(scope="session")
def tiny_sam3(tmp_path_factory):
    """SAM 3 as transformers writes it, its weights by chance and few."""
    from transformers import Sam3Config
    from transformers.models.sam3.modeling_sam3 import Sam3Model

    words = {"vocab_size": 50_000, "max_position_embeddings": 8, "projection_dim": 32}
    config = Sam3Config(
        vision_config=VISION,
        text_config=TOWER | words,
        geometry_encoder_config=SMALL,
        detr_encoder_config=SMALL,
        detr_decoder_config=SMALL | {"num_queries": 4},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    folder = tmp_path_factory.mktemp("sam3")
    Sam3Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARATION))
    return folder


@pytest.fixture
def sam3(tiny_sam3, tmp_path):
    return shutil.copytree(tiny_sam3, tmp_path / "sam3")


TEAPOT = np.asarray(Image.open(APP / "samples" / "teapot.png").convert("RGB"))
PEAR = np.asarray(Image.open(APP / "samples" / "pear.png").convert("RGB"))


def test_sam3_embeds_a_picture(sam3):
    encoder = embedding.load("sam3", "cpu", str(sam3))
    one, other = encoder.encode(TEAPOT), encoder.encode(PEAR)
    assert (encoder.name, one.shape, str(one.dtype)) == ("sam3", (16, 32), "float32")
    assert np.isfinite(one).all()
    assert np.abs(one - other).max() > 0.01
    assert (one == encoder.encode(TEAPOT)).all()


def test_sam3_is_found_in_the_form_of_its_own_release(sam3):
    """The published folder is of the video model, SAM 3 a part of it; its processors are in one file."""
    expected = embedding.load("sam3", "cpu", str(sam3)).encode(TEAPOT)
    weights = load_file(sam3 / "model.safetensors")
    renamed = {f"detector_model.{name}": tensor for name, tensor in weights.items()}
    save_file(renamed, sam3 / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((sam3 / "config.json").read_text())
    (sam3 / "config.json").write_text(json.dumps({"model_type": "sam3_video", "detector_config": config}))
    (sam3 / "preprocessor_config.json").unlink()
    (sam3 / "processor_config.json").write_text(json.dumps({"image_processor": PREPARATION}))
    assert (embedding.load("sam3", "cpu", str(sam3)).encode(TEAPOT) == expected).all()


def without_a_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    lacking = {name: tensor for name, tensor in weights.items() if not name.endswith("proj1.weight")}
    save_file(lacking, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing; put the weights there"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "has neither .* put it there"),
        (lambda folder: (folder / "preprocessor_config.json").write_text("{}"), "is not SAM 3's .* fetch it again"),
        (lambda folder: (folder / "config.json").write_text("{"), "does not load as Sam3Model .* point GEN3D_SAM3"),
        (without_a_tensor, "lack 4 of Sam3Model's tensors, such as vision_encoder.* point GEN3D_SAM3_WEIGHTS"),
    ],
)
def test_a_sam3_that_does_not_load_says_what_to_do(sam3, damage, said):
    damage(sam3)
    with pytest.raises(NotLoadable, match=said):
        embedding.load("sam3", "cpu", str(sam3))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import a_library_of_its_own", "lacks a library .*a_library_of_its_own.* install what its own setup asks for"),
        ("class Inference:\n    def __init__(self, path, compile): open(path + '.ckpt')", "fetch its checkpoint again"),
    ],
)
def test_a_sam3d_objects_that_does_not_load_says_what_to_do(tmp_path, monkeypatch, code, said):
    (tmp_path / "pipeline.yaml").write_text("{}")
    (tmp_path / "notebook").mkdir()
    (tmp_path / "notebook" / "inference.py").write_text(code)
    monkeypatch.setenv("GEN3D_SAM3D_CODE", str(tmp_path))
    with pytest.raises(NotLoadable, match=said):
        reconstruction.load("sam3d-objects", "cuda", str(tmp_path))


def test_sam3d_objects_needs_a_gpu(tmp_path):
    (tmp_path / "pipeline.yaml").write_text("{}")
    with pytest.raises(NotLoadable, match="runs on a GPU only"):
        reconstruction.load("sam3d-objects", "cpu", str(tmp_path))


def test_a_worker_does_not_wait_for_threads_on_busy_cores():
    assert tomllib.loads((APP / "seatrial.toml").read_text())["env"] == {"OMP_NUM_THREADS": "1"}


def test_what_it_imports_is_in_its_requirements():
    """boto3 reads objects where no server did it; transformers loads SAM 3."""
    named = {line.split("==")[0] for line in (APP / "code" / "requirements.txt").read_text().splitlines()}
    assert {"boto3", "botocore", "transformers"} <= named


def test_a_gpu_that_is_asked_for_must_be_there():
    import torch

    assert device.chosen("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(NotLoadable, match="sees no GPU"):
            device.chosen("cuda")
    with pytest.raises(NotLoadable, match="valid are auto"):
        device.chosen("tpu")
