"""What training writes, and archives that lack something: each is told, none serves with a part of itself."""

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import inference
import numpy as np
import pytest
from conftest import APP
from fashion import encoder as encoders
from fashion.errors import NotLoadable
from fashion.train import main
from fashion.weights import SUMS
from PIL import Image
from safetensors.numpy import load_file, save_file


def test_it_holds_what_the_handler_needs(archive):
    names = {"embeddings.npz", "faiss_index.index", "metadata.json", "config.json", "code", "src", "config"}
    assert names <= {path.name for path in archive.iterdir()}
    assert (archive / "src" / "fashion" / "colour.py").is_file()
    config = json.loads((archive / "config.json").read_text())
    assert (config["encoder"], config["dimensions"], config["items"]) == ("efficientnet-lite0", 1280, 80)
    assert len(json.loads((archive / "metadata.json").read_text())) == 80


@pytest.fixture
def broken(archive, tmp_path):
    return Path(shutil.copytree(archive, tmp_path / "model"))


@pytest.mark.parametrize(
    "name", ["config.json", "metadata.json", "faiss_index.index", "embeddings.npz", "config/rules.json"]
)
def test_what_is_missing_is_named(broken, name):
    (broken / name).unlink()
    with pytest.raises(NotLoadable, match=Path(name).name):
        inference.model_fn(str(broken))


def test_files_of_two_trainings_do_not_go_together(broken):
    with np.load(broken / "embeddings.npz") as arrays:
        fewer = arrays["embeddings"][:-1]
    np.savez(broken / "embeddings.npz", embeddings=fewer)
    with pytest.raises(NotLoadable, match="different trainings"):
        inference.model_fn(str(broken))


def test_another_encoder_than_the_indexs_is_no_choice(broken, monkeypatch):
    monkeypatch.setenv("FASHION_ENCODER", "clip")
    with pytest.raises(NotLoadable, match="train with --encoder clip"):
        inference.model_fn(str(broken))


def test_clip_needs_its_weights(monkeypatch):
    monkeypatch.delenv("FASHION_CLIP_WEIGHTS", raising=False)
    with pytest.raises(NotLoadable, match="set FASHION_CLIP_WEIGHTS"):
        encoders.load("clip", "cpu")


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """CLIP as transformers writes it, both towers, its weights by chance and few."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    tower = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tower["projection_dim"] = 16
    config = CLIPConfig(
        text_config=tower, vision_config=tower | {"image_size": 28, "patch_size": 14}, projection_dim=16
    )
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    square = {"height": 28, "width": 28}
    CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=square).save_pretrained(folder)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / SUMS).write_text(f"{hashlib.sha256(weights).hexdigest()}  model.safetensors\n")
    return folder


@pytest.fixture
def clip(tiny_clip, tmp_path):
    return Path(shutil.copytree(tiny_clip, tmp_path / "clip"))


def test_clip_embeds_pictures(clip, catalogue):
    encoder = encoders.load("clip", "cpu", str(clip))
    pictures = [Image.open(path).convert("RGB") for path in sorted(catalogue[0].rglob("*.png"))[:40:20]]
    rows = encoder.encode(pictures)
    assert (encoder.name, rows.shape, str(rows.dtype)) == ("clip", (2, 16), "float32")
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert np.abs(rows[0] - rows[1]).max() > 0.001


def cut_off(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])


def without_a_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / SUMS).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_off, "it was cut off, fetch it again"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"), "no header of safetensors; fetch"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing; put the weights there"),
        (lambda folder: (folder / SUMS).write_text(f"{'0' * 64}  model.safetensors\n"), "another SHA-256 .* fetch it"),
        (lambda folder: (folder / "config.json").write_text("{"), "does not load as CLIPVision.* point FASHION_CLIP"),
        (lambda folder: (folder / "preprocessor_config.json").write_text("{"), "is not CLIP's .* fetch it again"),
        (without_a_tensor, "lack 1 of CLIPVision.*visual_projection.weight; point FASHION_CLIP_WEIGHTS"),
    ],
)
def test_a_clip_that_does_not_load_says_what_to_do(clip, damage, said):
    damage(clip)
    with pytest.raises(NotLoadable, match=said):
        encoders.load("clip", "cpu", str(clip))


@pytest.mark.parametrize(("told", "threads"), [({}, "1"), ({"OMP_NUM_THREADS": "2"}, "2")])
def test_training_does_not_wait_for_threads_on_busy_cores(tmp_path, told, threads):
    """Torch's own number is that of the cores; the training itself ends at once, for want of pictures."""
    code = "from fashion.train import main; import sys, torch; main(sys.argv[1:]); print(torch.get_num_threads())"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(APP / "src"), **told}
    command = [sys.executable, "-c", code, str(tmp_path), "--output", str(tmp_path / "out"), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "has no pictures" in done.stderr
    assert done.stdout.split()[-1] == threads


def test_a_worker_does_not_wait_for_threads_on_busy_cores():
    assert tomllib.loads((APP / "seatrial.toml").read_text())["env"] == {"OMP_NUM_THREADS": "1"}


def test_a_catalogue_without_pictures_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "has no pictures" in capsys.readouterr().err


def test_a_source_folder_that_is_not_there_is_an_error(catalogue, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "SAGEMAKER_SUBMIT_DIRECTORY": str(tmp_path)}
    command = [sys.executable, str(APP / "sagemaker" / "train.py"), "--train", str(catalogue[0])]
    done = subprocess.run(
        [*command, "--model-dir", str(tmp_path / "m")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    assert f"{tmp_path / 'src' / 'fashion'} is missing" in done.stderr
