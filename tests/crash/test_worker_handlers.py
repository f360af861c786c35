"""Handlers of both layouts in real worker processes."""

import asyncio
import base64
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from seatrial.domain.work import HandlerFailed, LoadFailed


async def test_sagemaker_functions_without_context(yard: Any) -> None:
    worker = await yard.sagemaker("""
        import json, os
        def model_fn(model_dir):
            return os.path.basename(model_dir)
        def input_fn(body, content_type):
            assert isinstance(body, str)
            return json.loads(body)
        def predict_fn(data, model):
            return {"model": model, "given": data}
        def output_fn(prediction, accept):
            return json.dumps(prediction)
        """)
    answer = await yard.run(worker, body=b'{"a": "\xc3\xa9"}')
    assert json.loads(answer.body) == {"model": "model", "given": {"a": "é"}}
    assert answer.media_type == "application/json"
    assert answer.reading.memory_bytes > 1_000_000


async def test_sagemaker_functions_with_context(yard: Any) -> None:
    worker = await yard.sagemaker("""
        import json
        def pre_model_fn(model_dir, context):
            context.seen = ["pre"]
        def model_fn(model_dir, context):
            context.seen.append("model")
            return context.system_properties["model_dir"] == model_dir
        def model_warmup_fn(model_dir, model, context):
            context.seen.append("warm")
        def transform_fn(model, body, content_type, accept, context):
            assert isinstance(body, bytes)
            headers = context.request_processor[0].get_request_properties()
            return json.dumps([
                model, context.seen, context.get_request_id(), content_type, accept,
                headers["X-Amzn-SageMaker-Custom-Attributes"], context.get_request_header(0, "content-TYPE"),
            ]), "application/x-own"
        """)
    answer = await yard.run(
        worker, job_id="j", body=b"\xff", media_type="image/png", accept="x/y", attributes={"custom_attributes": "c=1"}
    )
    assert json.loads(answer.body) == [True, ["pre", "model", "warm"], "j", "image/png", "x/y", "c=1", "image/png"]
    assert answer.media_type == "application/x-own"


async def test_sagemaker_defaults_read_and_write_what_the_toolkit_documents(yard: Any) -> None:
    pytest.importorskip("numpy", reason="the toolkit's defaults make numpy arrays")
    worker = await yard.sagemaker("""
        def model_fn(model_dir):
            return 2
        def predict_fn(data, model):
            return data if isinstance(data, dict) else data * model
        """)
    assert json.loads((await yard.run(worker, body=b"[1, 2]")).body) == [2, 4]
    assert json.loads((await yard.run(worker, body=b'{"a": 1}')).body) == {"a": 1}
    as_csv = await yard.run(worker, body=b"1,2\n3,4", media_type="text/csv", accept="text/csv")
    assert (as_csv.body, as_csv.media_type) == (b"2.0,4.0\n6.0,8.0\n", "text/csv")
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, body=b"x", media_type="image/png")
    assert failed.value.failure.error_type == "unsupported_media_type"


async def test_a_status_from_400_on_fails_the_job(yard: Any) -> None:
    worker = await yard.sagemaker("""
        def model_fn(model_dir):
            return None
        def transform_fn(model, body, content_type, accept, context):
            context.set_response_status(code=422, phrase="no such colour")
            return "never sent"
        """)
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker)
    assert failed.value.failure.message == "no such colour"
    assert failed.value.failure.details["status_code"] == 422


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"inference.txt": ""}, "code/inference.py is missing"),
        ({"code/inference.py": "def predict_fn(data, model): pass"}, "no model_fn"),
        ({"code/inference.py": "def model_fn(model_dir): pass"}, "neither predict_fn"),
        (
            {"code/inference.py": "def model_fn(d): 1\ndef predict_fn(d, m): 1\ndef transform_fn(m, d, c, a): 1"},
            "transform_fn stands for all three",
        ),
        ({"code/inference.py": "def model_fn(): pass\ndef predict_fn(d, m): pass"}, "model_fn has 0 parameters"),
        ({"code/inference.py": "import nowhere_to_be_found"}, "No module named 'nowhere_to_be_found'"),
    ],
)
async def test_what_sagemaker_packages_lack_is_a_load_failure(yard: Any, files: dict[str, str], said: str) -> None:
    worker = await yard.start(yard.spec("sagemaker", files))
    with pytest.raises(LoadFailed) as failed:
        await worker.load()
    assert said in failed.value.failure.message
    assert failed.value.failure.error_type == "load_failed"
    assert "importlib" not in failed.value.failure.details.get("traceback", "")
    await worker.wait_gone()


async def test_a_class_with_a_method_per_task(yard: Any) -> None:
    worker = await yard.python(
        """
        class Handler:
            def __init__(self, context):
                self.name = context.model_name
            def greet(self, who, loud=False):
                return {"hello": who, "loud": loud, "from": self.name}
            def anything(self, task, **fields):
                return [task, fields]
        """,
        tasks=("greet", "anything"),
    )
    answer = await yard.run(worker, task="greet", fields={"who": "you"})
    assert json.loads(answer.body) == {"hello": "you", "loud": False, "from": "tested"}
    answer = await yard.run(worker, task="anything", fields={"x": 1})
    assert json.loads(answer.body) == ["anything", {"x": 1}]
    with pytest.raises(HandlerFailed, match=r"Handler\.greet does not take whom; it takes: loud, who"):
        await yard.run(worker, task="greet", fields={"whom": "you"})


async def test_a_function_gets_the_task(yard: Any) -> None:
    source = "def answer(task, n):\n    return {'task': task, 'n': n}"
    spec = yard.spec("python", {"model.py": source}, handler="model:answer", task_methods={"one": "one", "two": "two"})
    worker = await yard.start(spec)
    await worker.load()
    assert json.loads((await yard.run(worker, task="two", fields={"n": 3})).body) == {"task": "two", "n": 3}


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        ("class Handler: pass", "Handler has no method run"),
        ("class Handler:\n    def __init__(self, a, b): pass\n    def run(self): pass", "cannot be made"),
        ("class Handler:\n    async def run(self): pass", "Handler.run is async"),
        ("class Handler:\n    def run(self, a, /): pass", "by position"),
        ("x = 1", "module 'model' has no 'Handler'"),
        ("import sys; sys.exit(3)", "sys.exit(3)"),
    ],
)
async def test_what_own_packages_lack_is_a_load_failure(yard: Any, handler: str, said: str) -> None:
    with pytest.raises(LoadFailed) as failed:
        await yard.python(handler)
    assert said in failed.value.failure.message


async def test_media_in_every_form(yard: Any, tmp_path: Path) -> None:
    worker = await yard.python("""
        import pathlib
        class Handler:
            def run(self, a, b, c, d):
                assert isinstance(a, pathlib.Path) and isinstance(b, bytes) and isinstance(c, str)
                return {"a": a.read_bytes().decode(), "b": b.decode(), "c": c, "d": d.read_bytes().decode()}
        """)
    given = yard.data / "scratch-0" / "blob"
    given.write_bytes(b"from a file")
    answer = await yard.run(
        worker,
        media={"a": b"as path", "b": given, "c": b"as base64", "d": given},
        media_forms={"a": "path", "b": "bytes", "c": "base64", "d": "path"},
    )
    assert json.loads(answer.body) == {
        "a": "as path",
        "b": "from a file",
        "c": base64.b64encode(b"as base64").decode(),
        "d": "from a file",
    }


async def test_answers_of_every_kind(yard: Any) -> None:
    worker = await yard.python(
        """
        import pathlib, tempfile
        PNG = bytes.fromhex("89504e470d0a1a0a") + b"..."
        class Handler:
            def text(self): return "plain"
            def raw(self): return b"raw"
            def typed(self): return b"glb", "model/gltf-binary"
            def parts(self): return {"n": 1, "picture": PNG, "mask": self.file()}
            def file(self):
                path = pathlib.Path(tempfile.mkdtemp(), "x")
                path.write_bytes(PNG)
                return path
        """,
        tasks=("text", "raw", "typed", "parts", "file"),
    )

    async def answer(task: str) -> Any:
        return await yard.run(worker, task=task)

    assert [
        (one.body, one.media_type) for one in [await answer("text"), await answer("raw"), await answer("typed")]
    ] == [
        (b"plain", "text/plain"),
        (b"raw", "application/octet-stream"),
        (b"glb", "model/gltf-binary"),
    ]
    file = await answer("file")
    assert (file.body.read_bytes()[1:4], file.media_type) == (b"PNG", "image/png")
    parts = await answer("parts")
    assert json.loads(parts.body) == {"n": 1, "picture": None, "mask": None}
    assert parts.parts["picture"].endswith(b"...")
    assert parts.parts["mask"].read_bytes() == parts.parts["picture"]


async def test_big_inputs_and_outputs_travel_as_files_and_are_removed(yard: Any) -> None:
    worker = await yard.sagemaker("""
        def model_fn(model_dir):
            return None
        def transform_fn(model, body, content_type, accept):
            return body * 2
        """)
    work = yard.work(body=bytes(range(256)) * 10_000, media_type="x/y")
    answer = await worker.run(work)
    assert isinstance(answer.body, Path)
    assert answer.body.read_bytes() == work.body * 2
    folder = answer.body.parent
    assert sorted(one.name for one in folder.iterdir()) == ["answer-0", "input-0"]
    worker.forget(work.token)
    await asyncio.gather(*worker._tasks)
    assert not folder.exists()
    assert worker._scratch.folder.exists()
    small = await yard.run(worker, body=b"s", media_type="x/y")
    assert small.body == b"ss"
    await worker.stop(5)
    assert not worker._scratch.folder.exists()


async def test_a_body_may_be_a_file_already(yard: Any) -> None:
    worker = await yard.sagemaker("def model_fn(d): return 1\ndef transform_fn(m, body, c, a): return str(len(body))")
    body = yard.data / "scratch-0" / "body"
    body.write_bytes(b"12345")
    assert (await yard.run(worker, body=body, media_type="x/y")).body == b"5"


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        ("{'rooms': [{'area': 1.0}, {'area': object()}]}", "rooms[1].area", "rooms[1].area is a object"),
        ("{'a': float('nan')}", "a", "which JSON does not have"),
        ("[1, float('inf')]", "[1]", "which JSON does not have"),
        ("{'a': {1, 2}}", "a", "sorted() or list()"),
        ("{'a': {'b': b'x'}}", "a.b", "top level"),
        ("{'a': pathlib.Path('/nowhere/x.png')}", "a", "there is no such file"),
        ("(1, 2, 3)", "", "a tuple must be (value, media type)"),
        ("'\\ud800'", "the answer", "UTF-8"),
        ("('x', 'no media type')", "", "is not a media type"),
        ("('x', 'a/b\\r\\nSet-Cookie: c')", "", "is not a media type"),
        ("{'x' * 300: b'x'}", "", "more than 255 characters"),
        ("{str(n): b'x' for n in range(101)}", "", "101 parts; at most 100"),
    ],
)
async def test_what_cannot_be_sent_is_named(yard: Any, value: str, field: str, said: str) -> None:
    worker = await yard.python(f"import pathlib\nclass Handler:\n    def run(self): return {value}")
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker)
    assert failed.value.failure.error_type == "output_not_serialisable"
    assert failed.value.failure.details["field"] == field
    assert said in failed.value.failure.message
    assert failed.value.failure.details["remedy"].startswith(("Return ", "Write the file "))
    assert "_seatrial_worker" not in repr(failed.value.failure)
    assert "NotSerialisable" not in repr(failed.value.failure)


async def test_numpy_values_come_with_the_remedy(yard: Any) -> None:
    pytest.importorskip("numpy")
    worker = await yard.python("""
        import numpy
        class Handler:
            def run(self): return {"rooms": [{"area": numpy.float32(1)}]}
        """)
    with pytest.raises(HandlerFailed, match=r"rooms\[0\].area is a numpy.float32.*\.tolist\(\)"):
        await yard.run(worker)


async def test_names_of_ours_do_not_stand_in_the_way_of_user_modules(yard: Any) -> None:
    names = ["protocol", "handlers", "main", "worker", "child", "answer", "link", "context", "request", "failure"]
    modules = {f"{name}.py": f"WHO = 'user {name}'" for name in names}
    source = "import sys\n" + "".join(f"import {name}\n" for name in names)
    source += f"class Handler:\n    def run(self): return [[{', '.join(f'{name}.WHO' for name in names)}], sys.path]"
    spec = yard.spec("python", {**modules, "model.py": source}, handler="model:Handler", task_methods={"run": "run"})
    worker = await yard.start(spec)
    await worker.load()
    told, path = json.loads((await yard.run(worker)).body)
    assert told == [f"user {name}" for name in names]
    assert not [one for one in path if "/seatrial/" in one]


def _interpreters() -> list[Path]:
    places = [Path(found) for minor in range(9, 15) if (found := shutil.which(f"python3.{minor}"))]
    places += sorted(Path(sys.base_prefix).parent.glob("3.*/bin/python3.*"))
    by_name = {place.name: place for place in places if place.name.removeprefix("python3.").isdecimal()}
    return [place for name, place in sorted(by_name.items()) if 9 <= int(name.removeprefix("python3.")) <= 14]


@pytest.mark.parametrize("python", _interpreters(), ids=lambda one: one.name)
async def test_runs_in_other_interpreters(yard: Any, python: Path) -> None:
    worker = await yard.python(
        "import sys\nclass Handler:\n    def run(self): return '.'.join(map(str, sys.version_info[:2]))", python=python
    )
    assert (await yard.run(worker)).body.decode() == python.name.removeprefix("python")


async def test_answers_come_in_the_order_given(yard: Any) -> None:
    worker = await yard.python(
        "class Handler:\n    n = 0\n    def run(self):\n        self.n += 1\n        return self.n"
    )
    answers = await asyncio.gather(*(yard.run(worker) for _ in range(200)))
    assert [json.loads(one.body) for one in answers] == list(range(1, 201))
