"""What training writes, and archives that lack something: each is told, none serves with a part of itself."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import inference
import numpy as np
import pytest
from conftest import APP
from fashion import encoder as encoders
from fashion.errors import NotLoadable
from fashion.train import main


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


def test_clip_needs_its_weights():
    with pytest.raises(NotLoadable, match="set FASHION_CLIP_WEIGHTS"):
        encoders.load("clip", "cpu")


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
