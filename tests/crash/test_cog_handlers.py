"""Cog's predictors in real worker processes, with the real `cog` of this environment."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from seatrial.domain.work import HandlerFailed, LoadFailed

HEAD = """
import io, os, sys, time
from dataclasses import dataclass
from enum import Enum
from typing import Any, Iterator, List, Optional
import numpy
from cog import BaseModel, BasePredictor, ConcatenateIterator, File, Input, Path, Secret, current_scope
"""
UNLOADABLE = """
class Predictor:
    def setup(self) -> None:
        raise RuntimeError("no weights")

    def predict(self) -> str: ...
"""


@pytest.fixture
def started(yard: Any) -> Any:
    async def start(code: str, name: str = "Predictor", **more: Any) -> Any:
        given: dict[str, Any] = {"handler": f"predict.py:{name}", "task_methods": {"predict": "predict"}}
        worker = await yard.start(yard.spec("cog", {"predict.py": HEAD + code}, **given | more))
        await worker.load()
        return worker

    return start


async def test_typed_inputs_and_an_answer_with_files(started: Any, yard: Any) -> None:
    worker = await started("""
class Mood(Enum):
    GLAD = "glad"

class Output(BaseModel):
    text: str
    picture: Path
    layers: List[Path]
    mood: Any
    array: Any

class Predictor(BasePredictor):
    def setup(self, weights: Optional[Path] = None) -> None:
        self.weights = weights

    def predict(self, image: Path, more: List[Path], raw: File, key: Secret = Input(default=None),
                n: int = Input(default=1, ge=1), left: str = Input(default="out", description="any")) -> Output:
        assert type(image) is Path and type(more[0]) is Path and type(n) is int
        os.makedirs("/tmp/made", exist_ok=True)
        for name in ("picture.png", "0.txt", "1.txt"):
            with open(f"/tmp/made/{name}", "wb") as file:
                file.write(b"\\x89PNG\\r\\n\\x1a\\n" if name.endswith("png") else name.encode())
        text = f"{key} {key.get_secret_value()} {left} {raw.read()!r} {image.read_text()} {self.weights}"
        return Output(text=text, picture=Path("/tmp/made/picture.png"), mood=Mood.GLAD, array=numpy.zeros(2),
                      layers=[Path("/tmp/made/0.txt"), Path("/tmp/made/1.txt")])
""", env={"COG_WEIGHTS": "w.bin"})  # fmt: skip
    files = {"image": b"first", "more/0": b"second", "raw": b"third"}
    answer = await yard.run(
        worker,
        task="predict",
        fields={"more": [None], "key": "hush", "n": 2.0},
        media=files,
        media_forms=dict.fromkeys(files, "path"),
    )
    told = json.loads(answer.body)
    assert told == {
        "text": "********** hush out b'third' first w.bin",
        "picture": "picture.png",
        "layers": ["0.txt", "1.txt"],
        "mood": "glad",
        "array": [0.0, 0.0],
    }
    assert answer.parts.keys() == {"picture", "layers/0", "layers/1"}


async def test_what_is_written_where_the_code_lies_is_the_workers_own(started: Any, yard: Any) -> None:
    """As in Cog's image, whose working folder is /src; what the package brings stays as it is."""
    code = """
def predict(text: str) -> Path:
    assert os.path.samefile("predict.py", "/src/predict.py")
    try:
        open("predict.py", "a")
    except OSError as error:
        text = f"{text} {error.strerror}"
    with open("out.txt", "x") as file:
        file.write(text)
    return Path("/src/out.txt")
"""
    for _ in range(2):
        answer = await yard.run(await started(code, "predict"), task="predict", fields={"text": "ahoy"})
        assert (answer.media_type, answer.body.read_bytes()) == ("text/plain", b"ahoy Read-only file system")


async def test_one_file_is_the_answer_and_chunks_are_told(started: Any, yard: Any) -> None:
    worker = await started("""
def predict(kind: str, n: int = Input(default=2)) -> Any:
    if kind == "open":
        return io.BytesIO(b"bytes")
    if kind == "file":
        with open("/tmp/answer.gif", "wb") as file:
            file.write(b"GIF89a")
        return Path("/tmp/answer.gif")
    current_scope().record_metric("tokens.made", n)
    return (f"{number} " for number in range(n))
""", "predict")  # fmt: skip
    told: list[tuple[str, bytes]] = []
    worker.on_told(lambda token, what, data: told.append((what, data)))
    assert (await yard.run(worker, fields={"kind": "open"})).media_type == "application/octet-stream"
    assert (await yard.run(worker, fields={"kind": "file"})).media_type == "image/gif"
    streamed = await yard.run(worker, fields={"kind": "stream", "n": 3})
    assert json.loads(streamed.body) == ["0 ", "1 ", "2 "]
    assert [json.loads(data) for what, data in told if what == "chunk"] == ["0 ", "1 ", "2 "]
    assert {"metrics": {"tokens": {"made": 3}}} in [json.loads(data) for what, data in told if what == "progress"]


async def test_async_predictors_and_their_generators(started: Any, yard: Any) -> None:
    worker = await started("""
import asyncio

class Runner:
    async def setup(self) -> None:
        self.word = "ahoy"

    async def run(self, n: int = 2) -> Iterator[str]:
        for number in range(n):
            await asyncio.sleep(0)
            yield f"{self.word} {number}"
""", "Runner")  # fmt: skip
    assert json.loads((await yard.run(worker, fields={})).body) == ["ahoy 0", "ahoy 1"]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_cancelled_prediction_leaves_its_worker(started: Any, yard: Any, kind: str) -> None:
    body = "await asyncio.sleep(600)" if kind == "async" else "time.sleep(600)"
    word = "async " if kind == "async" else ""
    worker = await started(f"""
import asyncio
from cog import CancelationException

class Predictor:
    {word}def predict(self, wait: bool) -> str:
        if not wait:
            return f"still here {{os.getpid()}}"
        try:
            print("at work", flush=True)
            {body}
        except (CancelationException, asyncio.CancelledError):
            print("cleaned up")
            raise
""")
    work = yard.work(fields={"wait": True})
    running = asyncio.ensure_future(worker.run(work))
    await yard.logs.until(lambda text: "at work" in text)
    await worker.end(work.token)
    with pytest.raises(HandlerFailed):
        await running
    again = await yard.run(worker, fields={"wait": False})
    assert json.loads(again.body) == f"still here {worker.pid}"


async def test_training_and_limits_that_the_code_computes(started: Any, yard: Any) -> None:
    code = """
class Predictor:
    def predict(self, style: str = Input(choices=sorted(set("ab")))) -> str:
        return style

def train(steps: int = 3) -> dict:
    return {"steps": steps}
"""
    worker = await started(code, task_methods={"predict": "predict", "train": "predict.py:train"})
    assert json.loads((await yard.run(worker, task="train", fields={})).body) == {"steps": 3}
    assert json.loads((await yard.run(worker, task="predict", fields={"style": "b"})).body) == "b"
    with pytest.raises(HandlerFailed) as refused:
        await yard.run(worker, task="predict", fields={"style": "c"})
    failure = refused.value.failure
    assert (failure.error_type, failure.details["field"], failure.details["valid"]) == (
        "invalid_field",
        "style",
        "a, b",
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (UNLOADABLE, "no weights"),
        ("class Other:\n    pass\n", "has no 'Predictor'"),
        ("class Predictor:\n    pass\n", "no method predict or run"),
    ],
)
async def test_a_set_up_that_fails_says_why(started: Any, code: str, words: str) -> None:
    with pytest.raises(LoadFailed) as failed:
        await started(code)
    assert words in failed.value.failure.message
