import base64
import json
import shutil
from pathlib import Path

import pytest

from seatrial.domain.contract import Field, FieldType
from seatrial.domain.errors import Conflict, Unproven
from seatrial.package.init import initialise
from seatrial.package.inspect import inspect
from seatrial.package.manifest import read_manifest
from seatrial.package.target import Target

EXAMPLES = Path(__file__).parents[1] / "packages"
PIXEL = base64.b64encode((EXAMPLES / "tasks_sagemaker/samples/pixel.png").read_bytes()).decode()


def types(fields: tuple[Field, ...]) -> dict[str, tuple[FieldType, bool]]:
    return {one.name: (one.type, one.required) for one in fields}


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "tasks_sagemaker" / "code", tmp_path / "My model" / "code")
    return tmp_path / "My model"


def payload(folder: Path, content: object, name: str = "pay load.json") -> Path:
    path = folder.parent / name
    path.write_text(json.dumps(content))
    return path


def test_tasks_and_fields_are_guessed_from_the_code_and_the_sample(handler: Path) -> None:
    sample = payload(handler, {"task": "get_embedding", "image": PIXEL, "session_id": "s", "top": 3})
    done = initialise(handler, sample)
    assert done.written == (handler / "seatrial.toml", handler / "samples" / "pay-load.json")
    assert any("'top'" in note for note in done.to_fill_in)
    manifest = read_manifest(handler)
    assert (manifest.name, manifest.layout) == ("My-model", "sagemaker")
    embedding, mesh = manifest.contract.tasks
    assert (embedding.name, mesh.name) == ("get_embedding", "generate_3d")
    assert types(embedding.fields) == {
        "image": (FieldType.IMAGE, True),
        "session_id": (FieldType.STRING, False),
        "top": (FieldType.INTEGER, False),
    }
    assert types(mesh.fields) == {"image": (FieldType.IMAGE, True), "quality": (FieldType.STRING, False)}
    assert [one.input for one in embedding.samples] == ["samples/pay-load.json"]
    assert [one.message for one in inspect(manifest, handler, Target())] == [
        "The task 'generate_3d' has no sample: no [[tasks.generate_3d.samples]]."
    ]


def test_a_task_that_only_the_sample_names_is_declared_and_told(handler: Path) -> None:
    done = initialise(handler, payload(handler, {"task": "initialization", "image": PIXEL}))
    assert any(
        "names the task 'initialization'" in note and "get_embedding, generate_3d" in note for note in done.to_fill_in
    )
    samples = {task.name: len(task.samples) for task in read_manifest(handler).contract.tasks}
    assert samples == {"get_embedding": 0, "generate_3d": 0, "initialization": 1}
    assert any("(get_embedding, generate_3d)" in note for note in done.to_fill_in)


def test_a_method_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("class Plans:\n    def rooms(self): ...\n    def walls(self): ...\n")
    done = initialise(tmp_path, payload(tmp_path / "x", {"task": "doors"}))
    assert any("names the task 'doors'" in note and "rooms, walls" in note for note in done.to_fill_in)
    assert all(task.samples == () for task in read_manifest(tmp_path).contract.tasks)


def test_a_task_that_the_code_only_refuses_the_others_for(tmp_path: Path) -> None:
    (tmp_path / "m" / "code").mkdir(parents=True)
    (tmp_path / "m" / "code" / "inference.py").write_text(
        "def predict_fn(d, model):\n"
        "    if d['task'] == 'boom':\n        raise RuntimeError(d['n'])\n"
        "    if d.get('task') != 'hello':\n        raise ValueError('unknown')\n"
        "    return {'n': d['n'], 'name': d.get('name')}\n"
    )
    initialise(tmp_path / "m", payload(tmp_path / "m", {"task": "hello", "n": 2.5, "name": "x"}))
    boom, hello = read_manifest(tmp_path / "m").contract.tasks
    assert types(hello.fields) == {"n": (FieldType.NUMBER, True), "name": (FieldType.STRING, False)}
    assert types(boom.fields)["n"] == (FieldType.NUMBER, True)
    assert ([one.input for one in hello.samples], boom.samples) == (["samples/pay-load.json"], ())


def test_nothing_is_overwritten(handler: Path) -> None:
    sample = payload(handler, {"task": "get_embedding"}, "a.json")
    (handler / "samples").mkdir()
    (handler / "samples" / "a.json").write_text("mine")
    with pytest.raises(Conflict, match=r"a\.json is there already"):
        initialise(handler, sample)
    assert not (handler / "seatrial.toml").exists()
    initialise(handler)
    before = (handler / "seatrial.toml").read_text()
    with pytest.raises(Conflict, match=r"seatrial\.toml"):
        initialise(handler)
    assert (handler / "seatrial.toml").read_text() == before
    assert (handler / "samples" / "a.json").read_text() == "mine"


def test_a_sample_that_lies_in_its_place_is_used_as_it_is(handler: Path) -> None:
    (handler / "samples").mkdir()
    sample = handler / "samples" / "a.json"
    sample.write_text('{"task": "generate_3d", "image": "x"}')
    assert initialise(handler, sample).written == (handler / "seatrial.toml",)
    assert read_manifest(handler).contract.tasks[1].samples[0].input == "samples/a.json"


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(
        "import pathlib\nfrom __future__ import annotations\nclass _Hidden:\n    def x(self): ...\n"
        "class Plans:\n    def __init__(self): ...\n"
        "    def rooms(self, picture: pathlib.Path, scale: float = 1.0, *, context, flags: list[str]): ...\n"
        "    def _inner(self): ...\n"
        "    def walls(self, data: bytes, name: str | None = None): ...\n"
    )
    initialise(tmp_path, payload(tmp_path / "x", {"task": "rooms", "scale": 2.5, "flags": ["a"], "extra": None}))
    manifest = read_manifest(tmp_path)
    assert (manifest.handler, manifest.layout) == ("handler:Plans", "python")
    rooms, walls = manifest.contract.tasks
    assert types(rooms.fields) == {
        "picture": (FieldType.FILE, True),
        "scale": (FieldType.NUMBER, False),
        "flags": (FieldType.ARRAY, True),
    }
    assert rooms.fields[0].form == "path"
    assert types(walls.fields) == {"data": (FieldType.FILE, True), "name": (FieldType.STRING, False)}


def test_other_ways_to_tell_tasks_apart(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(
        "def predict_fn(request, model):\n"
        "    user = request['user']\n"
        "    if request.get('task') in ('a', 'b b'):\n        return request['x']\n"
        "    kind = request['task']\n"
        "    match kind:\n"
        "        case 'c' | 'd':\n            return helper(model, request)\n"
        "def helper(model, data):\n    return data.get('y'), model['weights']\n"
    )
    done = initialise(tmp_path)
    assert any("'b b'" in note for note in done.to_fill_in)
    tasks = read_manifest(tmp_path).contract.tasks
    assert {task.name: sorted(types(task.fields)) for task in tasks} == {
        "a": ["user", "x"],
        "c": ["user", "y"],
        "d": ["user", "y"],
    }


def test_a_handler_without_tasks_has_one(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "echo_sagemaker" / "code", tmp_path / "m" / "code")
    sample = payload(tmp_path / "m", {"text": 'quote " and \\ and 😀', "weird key": {"deep": 1}})
    initialise(tmp_path / "m", sample)
    (task,) = read_manifest(tmp_path / "m").contract.tasks
    assert task.name == "predict"
    assert types(task.fields) == {"text": (FieldType.STRING, False), "weird key": (FieldType.OBJECT, False)}


@pytest.mark.parametrize("others", [(), ("helpers.py", "more.py"), ("model.py",)])
@pytest.mark.parametrize("name", ["inference.py", "model.py"])
def test_sagemakers_functions_outside_of_code_are_refused(tmp_path: Path, name: str, others: tuple[str, ...]) -> None:
    for other in others:
        (tmp_path / other).write_text("def load(path): ...\n")
    (tmp_path / name).write_text("def model_fn(d): ...\ndef predict_fn(data, model): ...\n")
    with pytest.raises(Unproven, match=r"model_fn, predict_fn\), and their place is code/inference\.py") as caught:
        initialise(tmp_path)
    assert f"mkdir -p code && mv {name} code/inference.py" in caught.value.details["remedy"]
    assert not (tmp_path / "seatrial.toml").exists()


def test_without_a_handler_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unproven, match=r"code/inference\.py"):
        initialise(tmp_path)
    (tmp_path / "handler.py").write_text("def (")
    with pytest.raises(Unproven, match=r"handler\.py, line 1 is no Python"):
        initialise(tmp_path)
    (tmp_path / "handler.py").write_text("x = 1")
    with pytest.raises(Unproven, match="no public class or function"):
        initialise(tmp_path)
    (tmp_path / "handler.py").write_text("def f(x): ...")
    (tmp_path / "sample.json").write_text("[1]")
    with pytest.raises(Unproven, match="no JSON object"):
        initialise(tmp_path, tmp_path / "sample.json")


SERVER = "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.post('/invocations')\ndef answer(): ...\n"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"app.py": SERVER}, ("python", "app.py")),
        ({"predictor.py": SERVER, "serve": "#!/usr/bin/env python\n"}, ("./serve",)),
        ({"web.py": SERVER, "other.py": ""}, ("python", "web.py")),
        (
            {
                "predictor.py": SERVER,
                "Dockerfile": 'FROM x\nCOPY . /opt/program\nENTRYPOINT ["python3", "/opt/program/predictor.py"]\n',
            },
            ("python3", "predictor.py"),
        ),
        ({"app.py": SERVER, "Dockerfile": 'FROM x\nCMD ["gunicorn", "app:app"]\n'}, ("gunicorn", "app:app")),
        ({"app.py": SERVER, "Dockerfile": "FROM x\nCMD gunicorn app:app\n"}, ("python", "app.py")),
    ],
)
def test_a_serving_container_is_known_by_what_it_answers(
    tmp_path: Path, files: dict[str, str], command: tuple[str, ...]
) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    done = initialise(folder, payload(folder, {"text": "ahoy"}))
    manifest = read_manifest(folder)
    assert (manifest.layout, manifest.command) == ("http", command)
    assert [one.input for one in manifest.contract.loose_samples] == ["samples/pay-load.json"]
    assert any("start command" in note for note in done.to_fill_in)


@pytest.mark.parametrize(
    ("name", "code", "what"),
    [
        (
            "handler.py",
            "import runpod\nrunpod.serverless.start({'handler': print})\n",
            "a RunPod worker",
        ),
        ("lambda_function.py", "def lambda_handler(event, context): ...\n", "a Lambda function"),
        ("cog.yaml", "predict: predict.py:Predictor\n", "a Cog model"),
    ],
)
def test_what_is_served_as_it_is_gets_no_contract_that_would_be_wrong(tmp_path: Path, name: str, code: str, what: str):
    (tmp_path / name).write_text(code)
    (tmp_path / "predict.py").write_text("class Predictor:\n    def predict(self, text: str): ...\n")
    with pytest.raises(Unproven, match=f"is {what}: it is served as it is") as caught:
        initialise(tmp_path)
    assert "sample" in caught.value.details["remedy"]
    assert not (tmp_path / "seatrial.toml").exists()
