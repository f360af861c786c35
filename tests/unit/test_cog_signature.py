"""The contract of a Cog package: its code's signature, read without running it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from seatrial.domain.contract import AnswerFiles, FieldType, Sample, Task
from seatrial.domain.errors import Unproven
from seatrial.package.cog.signature import read_signature
from seatrial.package.inspect import inspect
from seatrial.package.manifest import read_manifest
from seatrial.package.target import Resolution, Target

HEAD = """\
import os
import typing as t
from collections.abc import Iterator
from enum import Enum
from typing import Any, List, Optional

import cog
from cog import AsyncConcatenateIterator, BaseModel, BasePredictor, ConcatenateIterator, File, Input, Path, Secret
from sizes import SIZES
"""


@pytest.fixture
def package(tmp_path: Path) -> Any:
    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path

    return make


@pytest.fixture
def task_of(package: Any) -> Any:
    def read(code: str, name: str = "predict") -> Task:
        root = package({"predict.py": HEAD + textwrap.dedent(code), "sizes.py": "SIZES = [256, 512]\n"})
        found = read_signature(root, f"predict.py:{name}", "predict")
        assert found is not None
        assert found.doubts == []
        return found.task

    return read


@pytest.mark.parametrize(
    ("parameter", "required", "default", "schema"),
    [
        ("x: str", True, None, {"type": "string"}),
        ("x: int = 3", False, 3, {"type": "integer"}),
        ("x: float = Input(ge=-1.5, le=2 * 4, default=0)", False, 0, {"type": "number", "minimum": -1.5, "maximum": 8}),
        ("x: int = Input(choices=SIZES, default=512)", False, 512, {"type": "integer", "enum": [256, 512]}),
        ("x: str = Input(choices=list(MODELS.keys()))", True, None, {"type": "string", "enum": ["a", "b"]}),
        ("x: str = Input('a', regex='^a', min_length=1)", False, "a",
         {"type": "string", "minLength": 1, "pattern": "^a"}),
        ("x: int = Input(default=None)", False, None, {"type": ["integer", "null"]}),
        ("x: Optional[str]", False, None, {"type": ["string", "null"]}),
        ("x: 'str | None' = None", False, None, {"type": ["string", "null"]}),
        ("x: List[int] = Input(ge=1)", True, None, {"type": "array", "items": {"type": "integer", "minimum": 1}}),
        ("x: int | str", True, None, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ("x: dict = Input(description='any')", True, None, {"type": "object"}),
        ("x: Any", True, None, {}),
        ("x: Colour", True, None, {"enum": ["red", "blue"]}),
        ("x: str = Input(deprecated=True, default='')", False, "", {"type": "string", "deprecated": True}),
    ],
)  # fmt: skip
def test_what_an_input_takes(task_of: Any, parameter: str, required: bool, default: Any, schema: Any) -> None:
    more = 'MODELS = {"a": os.getpid, "b": 2}\n\nclass Colour(Enum):\n    RED = "red"\n    BLUE = "blue"\n\n'
    (field,) = task_of(f"{more}def predict({parameter}) -> str: ...").fields
    assert (field.name, field.required, field.default, field.schema) == ("x", required, default, schema)


def test_files_and_secrets(task_of: Any) -> None:
    task = task_of(
        "def predict(a: Path, b: File, c: cog.Path = None, d: t.List[Path] = [], e: Secret = None) -> Path: ..."
    )
    assert [one.type for one in task.fields] == [FieldType.FILE] * 4 + [FieldType.STRING]
    assert [one.required for one in task.fields] == [True, True, False, False, False]
    assert [one.several for one in task.fields] == [False, False, False, True, False]
    assert task.fields[-1].schema["format"] == "password"
    assert (task.output.schema, task.output.files) == (None, AnswerFiles.WHOLE)


@pytest.mark.parametrize(
    ("returns", "schema", "files"),
    [
        ("str", {"type": "string"}, AnswerFiles.NONE),
        ("List[float]", {"type": "array", "items": {"type": "number"}}, AnswerFiles.NONE),
        ("List[Path]", {"type": "array", "items": {"type": "object", "x-seatrial-file": True}}, AnswerFiles.WITHIN),
        ("Iterator[int]", {"type": "array", "items": {"type": "integer"}, "x-cog-array-type": "iterator"},
         AnswerFiles.NONE),
        ("ConcatenateIterator[str]",
         {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator",
          "x-cog-array-display": "concatenate"}, AnswerFiles.NONE),
        ("Any", None, AnswerFiles.WITHIN),
        ("dict", {"type": "object"}, AnswerFiles.WITHIN),
        ("Output", {"type": "object", "required": ["text"], "properties": {
            "text": {"type": "string"},
            "mask": {"anyOf": [{"type": "object", "x-seatrial-file": True}, {"type": "null"}]},
        }}, AnswerFiles.WITHIN),
    ],
)  # fmt: skip
def test_what_an_answer_is(task_of: Any, returns: str, schema: Any, files: AnswerFiles) -> None:
    model = "class Output(BaseModel):\n    text: str\n    mask: Optional[Path] = None\n\n"
    output = task_of(f"{model}def predict(x: str) -> {returns}: ...").output
    assert (output.schema, output.files) == (schema, files)


def test_a_predictor_may_lie_in_another_module_and_inherit(package: Any) -> None:
    root = package(
        {
            "predict.py": "from parts.model import Model as Predictor\n",
            "parts/__init__.py": "",
            "parts/base.py": "class Base:\n    def run(self, text: str) -> str: ...\n",
            "parts/model.py": "from .base import Base\n\nclass Model(Base):\n    def setup(self): ...\n",
        }
    )
    found = read_signature(root, "predict.py:Predictor", "predict")
    assert found is not None
    assert (found.task.method, [one.name for one in found.task.fields]) == ("run", ["text"])


PREDICTOR = """
    import os
    from cog import BasePredictor, Input, Path

    class Predictor(BasePredictor):
        def predict(self, text: str = Input(default="ahoy"), style: str = Input(choices=os.listdir("styles"))) -> str:
            return text
"""
COG = """
    build:
      gpu: true
      python_version: "3.11"
      python_packages: [numpy==2.4.6]
      system_packages: [ffmpeg, libgl1]
      run: [echo hello]
    environment: ["MODE=fast"]
    predict: predict.py:Predictor
    train: predict.py:train
"""
TRAIN = "def train(steps: int = Input(default=2, ge=1)) -> Path: ...\n"


def test_cog_yaml_and_seatrial_toml_say_the_rest(package: Any) -> None:
    toml = '[tasks.train]\ntimeout_seconds = 60\n[[tasks.predict.samples]]\ninput = "in.json"\n[env]\nMODE = "slow"\n'
    root = package({"cog.yaml": COG, "seatrial.toml": toml, "in.json": '{"style": "oil"}'})
    (root / "predict.py").write_text(textwrap.dedent(PREDICTOR) + TRAIN)
    manifest = read_manifest(root)

    assert (manifest.layout, manifest.handler, manifest.python) == ("cog", "predict.py:Predictor", "3.11")
    assert manifest.packages == ("numpy==2.4.6", "cog==0.23.1")
    assert (manifest.device, manifest.env) == ("cuda", {"MODE": "slow"})
    predict, train = manifest.contract.tasks
    assert [one.name for one in predict.samples] == ["in"]
    assert train.samples == (Sample("defaults"),)  # all inputs have defaults
    assert (train.timeout_seconds, train.exclusive, train.method) == (60, True, "predict.py:train")
    assert train.fields[0].schema == {"type": "integer", "minimum": 1}

    found = inspect(manifest, root, Target(provided=frozenset({"numpy"}), system_packages=frozenset({"libgl1"})))
    told = [one.message for one in found if one.id == "cog_build"]
    assert [one for one in told if "ffmpeg" in one and "libgl1" not in one]
    assert [one for one in told if "build.run" in one]
    assert [one for one in told if "'style'" in one and "choices" in one]


def test_requirements_of_cog_yaml_are_resolved_and_named(package: Any) -> None:
    root = package({"cog.yaml": "build:\n  python_packages: [a==1, a==2]\n", "predict.py": textwrap.dedent(PREDICTOR)})
    target = Target(provided=frozenset({"cog"}), resolution=Resolution(conflict="you require a==1 and a==2"))
    told = {one.id: one for one in inspect(read_manifest(root), root, target) if one.level == "error"}
    assert told["resolution"].file == "cog.yaml"
    assert "cog.yaml, line 2" in told["requirements"].message


def test_what_is_wrong_is_named(package: Any) -> None:
    toml = "[tasks.paint]\n[[tasks.paint.samples]]\n"
    root = package(
        {"cog.yaml": "build:\n  python_version: 3.11\npredict: predict.py:Predictor\n", "seatrial.toml": toml}
    )
    (root / "predict.py").write_text(textwrap.dedent(PREDICTOR))
    with pytest.raises(Unproven) as refused:
        read_manifest(root)
    assert "cog.yaml build python_version: found 3.11" in refused.value.message
    assert "[tasks.paint]: is no task of the package's code" in refused.value.message

    (root / "seatrial.toml").unlink()
    (root / "cog.yaml").write_text("predict: predict.py:Model\n")
    (root / "predict.py").write_text("from elsewhere import Model\n")
    found = inspect(read_manifest(root), root, Target(provided=frozenset({"elsewhere"})))
    assert [one for one in found if one.id == "cog_predictor" and "cannot be read" in one.message]
