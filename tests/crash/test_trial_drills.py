"""The last stages of a trial, against handlers with one planted fault each, and against correct but odd ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from seatrial.domain.endpoint import EndpointStatus, EndpointVersion, StageState, TrialStage
from seatrial.engine.trial.drill import lead

HEAD = "import base64, json, os, random, sys, tempfile, threading, time, uuid\n"
TOML = """
[package]
handler = "model:Model"

[tasks.draw.input.text]
type = "string"
required = true

[tasks.draw.output]
media_type = "application/json"
{output}

[[tasks.draw.samples]]
name = "one"
input = "samples/one.json"

[[tasks.draw.samples]]
name = "two"
input = "samples/two.json"
"""


def package(body: str, output: str = "") -> Mapping[str, str]:
    return {
        "seatrial.toml": TOML.format(output=output),
        "model.py": HEAD + body,
        "samples/one.json": '{"text": "one"}',
        "samples/two.json": '{"text": "two two"}',
    }


async def stages(engine: Any) -> Mapping[TrialStage, Any]:
    versions: list[EndpointVersion] = await engine.deployer.versions("e")
    return {one.stage: one for one in versions[-1].stages}


async def tried(engine: Any, files: Mapping[str, str]) -> Any:
    """The endpoint after its trial."""
    await engine.create(engine.package(files))
    return await engine.settled()


PLANTED = {
    "a buffer that is not emptied": """
buffer = []
class Model:
    def draw(self, text):
        buffer.append(text)
        return {"said": " ".join(buffer)}
""",
    "the answer of the one before": """
last = {"text": None}
class Model:
    def draw(self, text):
        before, last["text"] = last["text"], text
        return {"said": before or text}
""",
    "a buffer that a thread sometimes fills too late": """
image = bytearray(4_000)
class Model:
    def draw(self, text):
        late = random.random() < 0.2
        def paint():
            time.sleep(0.02 if late else 0)
            image[:] = bytes([ord(text[0])]) * len(image)
        image[:] = bytes(len(image))
        painter = threading.Thread(target=paint)
        painter.start()
        painter.join(0.005 if late else None)
        return {"image": base64.b64encode(bytes(image)).decode()}
""",
    "a default argument that is kept": """
class Model:
    def draw(self, text, seen={}):
        seen[text] = True
        return {"seen": sorted(seen)}
""",
    "a cache with the wrong key": """
cache = {}
class Model:
    def draw(self, text):
        return {"said": cache.setdefault("prompt", text)}
""",
}

CORRECT = {
    "the same every time": """
class Model:
    def draw(self, text):
        return {"said": text, "letters": [ord(letter) / 7 for letter in text]}
""",
    "by chance": """
class Model:
    def draw(self, text):
        return {"said": text, "noise": [random.random() for _ in range(4)], "id": str(uuid.uuid4()), "pid": os.getpid()}
""",
    "times and memory": """
class Model:
    def draw(self, text):
        return {"said": text, "seconds": round(time.perf_counter() % 1, 1), "timing": {"load": time.time()}}
""",
    "a cache with the right key": """
cache = {}
class Model:
    def draw(self, text):
        return {"said": cache.setdefault(text, text.upper())}
""",
    "chosen among a few": """
class Model:
    def draw(self, text):
        return {"label": random.choice(["cat", "dog"]), "said": text}
""",
    "in the order of a set": """
class Model:
    def draw(self, text):
        return {"letters": list({"alpha-" + text, "beta-" + text})}
""",
    "a name of the worker": """
NAME = str(uuid.uuid4())
class Model:
    def draw(self, text):
        return {"said": text, "worker": NAME}
""",
    "rounded differently": """
class Model:
    def draw(self, text):
        return {"said": text, "norm": 3.0 + random.random() * 1e-6}
""",
}


# The others of their kind are about as long, and find nothing that these do not.
RARE = {
    "a cache with the wrong key",
    "a default argument that is kept",
    "the answer of the one before",
    "chosen among a few",
    "in the order of a set",
    "a name of the worker",
    "times and memory",
    "rounded differently",
}


def each(cases: Mapping[str, str]) -> list[Any]:
    return [pytest.param(one, marks=[pytest.mark.slow] if one in RARE else []) for one in cases]


@pytest.mark.parametrize("fault", each(PLANTED))
async def test_a_planted_race_or_leftover_is_found(make_engine: Any, fault: str) -> None:
    engine = await make_engine(drill_seconds=10.0)  # it ends with what it finds
    endpoint = await tried(engine, package(PLANTED[fault]))
    assert endpoint.status is EndpointStatus.FAILED
    assert endpoint.failure_reason.startswith("drill: ")
    assert "depends on what ran before or beside it" in endpoint.failure_reason
    assert "Remedy: " in endpoint.failure_reason
    assert engine.worker_processes() == []


@pytest.mark.parametrize("oddity", each(CORRECT))
async def test_a_correct_handler_is_not_accused(make_engine: Any, oddity: str) -> None:
    engine = await make_engine(drill_seconds=1.0)
    endpoint = await tried(engine, package(CORRECT[oddity]))
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    drill = (await stages(engine))[TrialStage.DRILL]
    assert drill.state is StageState.PASSED
    assert drill.details["runs"] >= 2


FRAME_AND_BACK = """
ROWS, COLUMNS = 32, 64
frame = bytearray(ROWS * COLUMNS)
def paint(rows, shade, painted):
    for row in rows:
        frame[row * COLUMNS : (row + 1) * COLUMNS] = bytes([shade]) * COLUMNS
        time.sleep(0.0003)
    painted.set()
class Model:
    def draw(self, text):
        painted, late = threading.Event(), threading.Event()
        threading.Thread(target=paint, args=(range(random.choice([8, 9]), 32), ord(text[1]), late)).start()
        threading.Thread(target=paint, args=(range(8), ord(text[1]), painted)).start()
        painted.wait()
        return {"image": base64.b64encode(bytes(frame)).decode()}
"""


async def test_only_the_first_answers_of_fresh_workers_differ_and_that_excuses_nothing_later(make_engine: Any) -> None:
    engine = await make_engine(drill_seconds=3.0)
    endpoint = await tried(engine, package(FRAME_AND_BACK))
    assert endpoint.status is EndpointStatus.FAILED
    assert "depends on what ran before or beside it, at 'image'" in endpoint.failure_reason


SHARED_FILE = """
FILE = {path!r}
time.sleep({load})
class Model:
    def draw(self, text):
        time.sleep({work})
        with open(FILE, "w") as file:
            for word in [text] * 4:
                file.write(word + "\\n")
                file.flush()
                time.sleep({pause})
        with open(FILE) as file:
            return {{"lines": file.read().split()}}
"""


@pytest.fixture
def shared_path() -> Iterator[str]:
    """Of a file outside of the workers' private folders, which is gone afterwards."""
    path = Path(f"/dev/shm/seatrial-test-{uuid.uuid4()}")
    yield str(path)
    path.unlink(missing_ok=True)


SLOW = pytest.mark.slow  # a slow handler's runs alone, or a slow load: about 16 s each


@pytest.mark.parametrize(
    ("load", "work", "pause", "drill"),
    [
        (0, 0, 0.002, 2.0),
        pytest.param(0, 0.2, 0.05, 4.0, marks=SLOW),
        pytest.param(1.2, 0, 0.002, 0.5, marks=SLOW),
    ],
)
async def test_a_file_that_two_workers_share_is_found_with_one_sample(
    make_engine: Any, shared_path: str, load: float, work: float, pause: float, drill: float
) -> None:
    files = dict(package(SHARED_FILE.format(path=shared_path, load=load, work=work, pause=pause)))
    files["seatrial.toml"] = files["seatrial.toml"].rpartition("[[tasks.draw.samples]]")[0]
    engine = await make_engine(drill_seconds=drill)
    endpoint = await tried(engine, files)
    assert endpoint.status is EndpointStatus.FAILED
    assert "drill: Sample 'one' of task 'draw'" in endpoint.failure_reason


def test_leads_spread_over_a_run_and_over_its_orders_of_magnitude() -> None:
    leads = [lead(number, 0.8) for number in range(20)]
    assert 1 <= min(leads) <= 3
    assert max(leads) <= 800
    for lowest, highest in [(1, 10), (10, 100), (100, 300), (300, 500), (500, 800)]:
        assert sum(lowest <= one <= highest for one in leads) >= 2
    assert [lead(number, 0.0) for number in range(4)] == [1, 1, 1, 1]


async def test_a_counter_that_is_declared_to_vary_may_count(make_engine: Any) -> None:
    engine = await make_engine(drill_seconds=0.5)
    counter = "n = [0]\nclass Model:\n    def draw(self, text):\n        n[0] += 1\n        return {'count': n[0]}\n"
    endpoint = await tried(engine, package(counter, 'varying = ["count"]'))
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason


async def test_memory_that_grows_without_end_fails(make_engine: Any) -> None:
    engine = await make_engine(drill_seconds=2.0)
    leak = "kept = []\nclass Model:\n    def draw(self, text):\n"
    leak += "        kept.append(os.urandom(20_000_000))\n        return {'said': text}\n"
    endpoint = await tried(engine, package(leak))
    assert endpoint.status is EndpointStatus.FAILED
    assert "memory grew by" in endpoint.failure_reason


async def test_a_worker_that_dies_now_and_then_fails_although_every_job_ends(make_engine: Any) -> None:
    engine = await make_engine(drill_seconds=2.0)
    mortal = "seen = []\nclass Model:\n    def draw(self, text):\n        seen.append(text)\n"
    mortal += "        len(seen) > 9 and os._exit(3)\n        return {'said': text}\n"
    endpoint = await tried(engine, package(mortal))
    assert endpoint.status is EndpointStatus.FAILED
    assert endpoint.failure_reason.startswith("drill: A worker died while the samples were repeated")


async def test_a_job_whose_worker_is_killed_in_mid_run_ends_once(make_engine: Any) -> None:
    engine = await make_engine(drill_seconds=0.5)
    slow = "class Model:\n    def draw(self, text):\n        time.sleep(0.3)\n        return {'said': text}\n"
    await engine.create(engine.package(package(slow)))
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    drill = (await stages(engine))[TrialStage.DRILL]
    assert drill.details["killed"] == "a job whose worker was killed ended once"


async def test_without_time_for_it_the_drill_is_left_out_and_says_so(make_engine: Any) -> None:
    engine = await make_engine(drill_seconds=0.0)
    await tried(engine, package(CORRECT["the same every time"]))
    drill = (await stages(engine))[TrialStage.DRILL]
    assert drill.state is StageState.SKIPPED
    assert "drill_seconds" in drill.message


# ---------------------------------------------------------------------- refuse


async def test_bad_requests_are_refused_and_reported(make_engine: Any) -> None:
    engine = await make_engine()
    await tried(engine, package(CORRECT["the same every time"]))
    refuse = (await stages(engine))[TrialStage.REFUSE]
    said = {one["request"]: one["error_type"] for one in refuse.details["refused"]}
    assert said == {
        "an unknown task": "unknown_task",
        "no 'text' for task 'draw'": "missing_field",
        "a wrong type in 'text' for task 'draw'": "invalid_field",
    }


CHECKS = """
class Refused(Exception):
    error_type = "text_wanted"
class Model:
    def draw(self, **fields):
        text = fields{taken}
        if not isinstance(text, str) or len(text) > 100 or len(fields) > 1:
            raise Refused("Say what is to be drawn, in at most 100 characters.")
        return {{"said": text}}
"""
BY_ITSELF = ("[tasks.draw.input.text]", "[tasks.draw]\nhandler_checks = true\n\n[tasks.draw.input.text]")


async def test_a_handler_that_checks_by_itself_is_sent_what_it_has_to_refuse(make_engine: Any) -> None:
    engine = await make_engine()
    files = dict(package(CHECKS.format(taken='.get("text")')))
    files["seatrial.toml"] = files["seatrial.toml"].replace(*BY_ITSELF)
    files["seatrial.toml"] = files["seatrial.toml"].replace('type = "string"', 'type = "string"\nmax_length = 100')
    endpoint = await tried(engine, files)
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    refuse = (await stages(engine))[TrialStage.REFUSE]
    said = {one["request"]: one["error_type"] for one in refuse.details["refused"]}
    assert said == {
        "an unknown task": "unknown_task",
        "no 'text' for task 'draw'": "text_wanted",
        "a wrong type in 'text' for task 'draw'": "text_wanted",
        "too long a text in 'text' for task 'draw'": "text_wanted",
        "a field 'no-such-field' for task 'draw'": "text_wanted",
    }


@pytest.mark.parametrize(("taken", "words"), [('["text"]', "made the handler fail"), ('.get("text", "")', "succeeded")])
async def test_a_handler_that_says_so_and_does_not_check_fails(make_engine: Any, taken: str, words: str) -> None:
    engine = await make_engine()
    files = dict(package(CHECKS.format(taken=taken)))
    files["seatrial.toml"] = files["seatrial.toml"].replace(*BY_ITSELF)
    endpoint = await tried(engine, files)
    assert endpoint.status is EndpointStatus.FAILED
    assert f"no 'text' for task 'draw' {words}" in endpoint.failure_reason


INFERENCE = """
import json, os
def model_fn(d):
    return None
def input_fn(body, content_type):
    try:
        return json.loads(body)
    except ValueError:
        {does}
def predict_fn(data, model):
    return data
"""


async def test_an_undeclared_handler_that_dies_of_a_bad_request_fails(make_engine: Any) -> None:
    engine = await make_engine()
    files = {"code/inference.py": INFERENCE.format(does="os._exit(1)"), "samples/any.json": '{"task": "any"}'}
    endpoint = await tried(engine, files)
    assert endpoint.status is EndpointStatus.FAILED
    assert endpoint.failure_reason.startswith("refuse: ")
    assert "cost a worker its life" in endpoint.failure_reason


async def test_an_undeclared_handler_may_take_what_it_likes_and_that_is_told(make_engine: Any) -> None:
    engine = await make_engine()
    files = {"code/inference.py": INFERENCE.format(does="return {'text': 1}"), "samples/any.json": '{"task": "any"}'}
    endpoint = await tried(engine, files)
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    refuse = (await stages(engine))[TrialStage.REFUSE]
    assert "2 succeeded" in refuse.message
    assert refuse.details["warnings"] == [
        "A request with malformed JSON succeeded.",
        "A request with an unknown task succeeded.",
    ]


# ---------------------------------------------------------------------- aliases and forms


async def test_every_alias_and_every_form_of_a_media_field_is_proved(make_engine: Any, png: Any, tmp_path: Any) -> None:
    engine = await make_engine()
    toml = """
    [package]
    handler = "model:Model"
    [tasks.look]
    aliases = ["glance"]
    [tasks.look.input.picture]
    type = "image"
    required = true
    form = "bytes"
    sources = ["key", "uri", "data_url", "base64", "raw"]
    pixels_max = 10000
    [[tasks.look.samples]]
    name = "one"
    files = { picture = "samples/one.png" }
    """
    model = "class Model:\n    def look(self, picture):\n        return {'bytes': len(picture)}\n"
    folder = engine.package({"seatrial.toml": toml, "model.py": model})
    (folder / "samples").mkdir()
    (folder / "samples" / "one.png").write_bytes(png(20, 20))
    await engine.create(folder)
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    found = await stages(engine)
    ways = [one.get("as", "") for one in found[TrialStage.PROVE].details["samples"]]
    assert ways == [
        "",
        "alias 'glance' of task 'look'",
        "field 'picture' of task 'look' as base64",
        "field 'picture' of task 'look' as data_url",
        "field 'picture' of task 'look' as key",
        "field 'picture' of task 'look' as raw",
        "field 'picture' of task 'look' at the largest size, 10,000 pixels",
    ]
    said = {one["request"]: one["error_type"] for one in found[TrialStage.REFUSE].details["refused"]}
    assert said["an oversized file in 'picture' of task 'look'"] == "media_too_large"
    assert said["half a picture in 'picture' of task 'look'"] == "image_undecodable"


async def test_a_sample_that_is_slower_than_its_budget_fails(make_engine: Any) -> None:
    engine = await make_engine()
    slow = "class Model:\n    def draw(self, text):\n        time.sleep(0.2)\n        return {'said': text}\n"
    files = dict(package(slow))
    files["seatrial.toml"] = files["seatrial.toml"].replace(
        "[tasks.draw.input", "[tasks.draw]\nlatency_seconds_max = 0.05\n[tasks.draw.input"
    )
    endpoint = await tried(engine, files)
    assert endpoint.status is EndpointStatus.FAILED
    assert "its budget is 0.05 s" in endpoint.failure_reason
