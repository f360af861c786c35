"""A field report replayed: a model archive without the handler's own package and without its configuration.

There the endpoint crashed for half an hour before anybody knew why; here a check says it in seconds, and mends it.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from tests import forks

from seatrial.testing.corpus.parts import faiss_flat, npy, npz

HANDLER = """\
import json
import os

from stygig.core.color_logic import ColorProcessor
from stygig.core.gender_logic import GenderClassifier


def model_fn(model_dir):
    with open(os.path.join(model_dir, "config.json")) as file:
        return {"config": json.load(file), "colors": ColorProcessor(), "gender": GenderClassifier()}


def predict_fn(data, model):
    return {"colour": model["colors"].name(data["rgb"])}
"""
COLORS = """\
import json
from pathlib import Path

PALETTE = Path(__file__).resolve().parents[3] / "config" / "palette.json"


class ColorProcessor:
    def __init__(self):
        self.names = json.loads(PALETTE.read_text())

    def name(self, rgb):
        return self.names[max(range(3), key=rgb.__getitem__)]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The project as its owner has it, with the archive that the training script made."""
    root = tmp_path / "Stygig-Model-2"
    files = {
        "src/stygig/__init__.py": "",
        "src/stygig/core/__init__.py": "from stygig.core import color_logic\n",
        "src/stygig/core/color_logic.py": COLORS,
        "src/stygig/core/gender_logic.py": "class GenderClassifier:\n    pass\n",
        "src/stygig/core/.env": "TOKEN=hunter2\n",
        "config/palette.json": '["red", "green", "blue"]',
        "config/training.yaml": "epochs: 3\n",
        "tests/stygig/test_nothing.py": "",
        "model/code/inference.py": HANDLER,
        "model/code/requirements.txt": "# everything that it needs comes with the image\n",
        "model/config.json": "{}",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "model/embeddings.npz").write_bytes(npz(items=npy((4, 8))))
    (root / "model/faiss_index.index").write_bytes(faiss_flat(4, 8))
    (root / "model/metadata.pkl").write_bytes(pickle.dumps({"items": ["a", "b"]}))
    subprocess.run(["tar", "-czf", root / "model.tar.gz", "-C", root / "model", "."], check=True)
    return root


def seatrial(*arguments: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return forks.run(*arguments, cwd=cwd, env=env)


def test_the_check_names_the_package_that_is_missing_and_where_it_is(tree: Path) -> None:
    began = time.monotonic()
    checked = seatrial("check", "model.tar.gz", "--source", ".", cwd=tree)
    assert time.monotonic() - began < 60
    assert checked.returncode == 1
    assert "code/inference.py, line 4: imports 'stygig.core.color_logic'" in checked.stdout
    assert str(tree / "src" / "stygig") in checked.stdout
    assert "--fix --write OUT" in checked.stdout


def test_adding_the_folder_alone_is_not_enough_and_the_check_says_why(tree: Path) -> None:
    subprocess.run(["tar", "-czf", "more.tar.gz", "-C", "model", ".", "-C", "..", "src"], cwd=tree, check=True)
    checked = seatrial("check", "more.tar.gz", "--json", cwd=tree)
    assert checked.returncode == 1
    (finding,) = [one for one in json.loads(checked.stdout)["findings"] if one["level"] == "error"]
    assert finding["id"] == "imports"
    assert "It lies at src/stygig, but its folder is not on sys.path, which has code/" in finding["message"]
    assert "Move src/stygig into code/" in finding["remedy"]


def test_from_the_archive_that_crashes_to_an_endpoint_that_serves(tree: Path, server, step) -> None:
    with step("the check names what is missing", "half an hour of a crash loop, then CloudWatch"):
        checked = seatrial("check", "model.tar.gz", "--source", ".", cwd=tree)
    assert checked.returncode == 1
    repair = ("check", "model.tar.gz", "--source", ".", "--fix", "--include", "config")
    with step("the repair is proposed", "reading train.py"):
        proposed = seatrial(*repair, cwd=tree)
    assert proposed.returncode == 1, "nothing is mended yet"
    assert "add src/stygig as code/stygig" in proposed.stdout
    assert "add config as config (2 files): asked for" in proposed.stdout
    assert "leave out src/stygig/core/.env" in proposed.stdout
    with step("the repaired archive is written and checked again", "10 minutes, by a script of its own"):
        written = seatrial(*repair, "--write", "fixed.tar.gz", cwd=tree)
    assert written.returncode == 0, written.stdout + written.stderr
    assert "checked again" in written.stdout
    with tarfile.open(tree / "fixed.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"code/stygig/core/color_logic.py", "config/palette.json", "faiss_index.index"} <= names
    assert not any(name.endswith((".env", ".pyc")) or name.startswith("tests") for name in names)

    (tree / "samples").mkdir()
    (tree / "samples/red.json").write_text('{"rgb": [200, 10, 10]}')
    with step("it is deployed, its sample proved", "2 to 3 minutes, unproved"):
        deployed = server.cli(
            "deploy", str(tree / "fixed.tar.gz"), "--name", "stygig-fixed", "--samples", str(tree / "samples")
        )
    assert "InService" in deployed.stdout
    (tree / "request.json").write_text('{"rgb": [10, 10, 200]}')
    with step("a request, and its answer", "5 to 10 seconds"):
        answered = server.cli("invoke", "stygig-fixed", "--input", str(tree / "request.json"), "--wait")
    assert "blue" in answered.stdout
    refused = server.cli("deploy", str(tree / "model.tar.gz"), "--name", "stygig", "--unproven", check=False)
    assert refused.returncode == 1
    assert "inspect: code/inference.py, line 4: imports 'stygig.core.color_logic'" in refused.stderr


def test_the_repaired_archive_goes_to_s3_and_packing_repeats_to_the_byte(tree: Path, server) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="stygig")
    uri = "s3://stygig/fixed/model.tar.gz"
    written = seatrial(
        "check", "model.tar.gz", "--source", ".", "--fix", "--write", uri, "--json", cwd=tree, env=server.environment
    )
    assert written.returncode == 0, written.stdout + written.stderr
    said = json.loads(written.stdout)
    assert (said["verdict"], said["after"]["verdict"], said["written"]) == ("failed", "passed", uri)
    stored = s3.get_object(Bucket="stygig", Key="fixed/model.tar.gz")["Body"].read()
    (tree / "model/code/__pycache__").mkdir()
    (tree / "model/code/__pycache__/inference.cpython-311.pyc").write_bytes(b"cache")
    (tree / "model/.env").write_text("TOKEN=hunter2\n")
    packed = seatrial("pack", "model", "-o", "packed.tar.gz", "--source", ".", cwd=tree)
    assert packed.returncode == 0, packed.stdout + packed.stderr
    assert "leave out .env" in packed.stdout
    assert (tree / "packed.tar.gz").read_bytes() == stored
