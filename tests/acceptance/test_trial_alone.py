"""`seatrial trial run PACKAGE`: the whole trial on a developer's machine or in CI, with no server and no port."""

from __future__ import annotations

import json
import os
import signal
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests import forks

SPEECH = """\
[package]
handler = "speech:Speech"
[tasks.say]
aliases = ["speak"]
[tasks.say.input.words]
type = "file"
form = "bytes"
required = true
sources = ["uri", "url", "base64"]
"""
SPEAKS = """\
class Speech:
    def say(self, words):
        return {"said": words.decode().upper()}
"""


def package(folder: Path, **files: str) -> Path:
    made = folder / "speech"
    contents = {"seatrial.toml": SPEECH, "speech.py": SPEAKS, **files}
    for name, text in contents.items():
        target = made / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text))
    return made


@pytest.fixture
def place(tmp_path):
    """Where trials put their folders."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def begin(place: Path, *arguments: str) -> forks.Forked:
    environment = {**os.environ, "TMPDIR": str(place), "SEATRIAL_DATABASE": "postgresql://nobody@127.0.0.1:1/none"}
    return forks.start("trial", *arguments, env=environment, own_session=True)


def run(place: Path, *arguments: str) -> tuple[int, str, str]:
    process = begin(place, *arguments)
    out, told = process.communicate(timeout=100)
    return process.returncode, out, told


WORDS = {
    "seatrial.toml": SPEECH + '[[tasks.say.samples]]\nname = "hello"\nfiles = { words = "hello.txt" }\n',
    "hello.txt": "hello, " * 50,
}


def test_a_package_that_passes_leaves_a_report_for_ci_and_nothing_else(tmp_path, place):
    junit = tmp_path / "trial.xml"
    arguments = ("--junit", str(junit), "--drill-seconds", "0.2", "--max-minutes", "2")
    code, out, told = run(place, "run", str(package(tmp_path, **WORDS)), *arguments)
    assert code == 0, told
    assert "passed its trial" in out
    assert "will run 1 sample, 3 aliases and forms, a drill of 0.2 s, 2 minutes at most" in told
    assert "drill        passed" in told
    cases = {case.get("name"): case for case in ElementTree.parse(junit).iter("testcase")}
    for one in ("prove: say hello", "prove: alias 'speak' of task 'say'", "prove: field 'words' of task 'say' as url"):
        assert list(cases[one]) == [], "passed; a URL of our own is read although no port listens"
    assert any(name.startswith("refuse: ") for name in cases)
    assert list(place.iterdir()) == []


def test_doubtful_words_in_an_answer_are_a_warning_in_the_lines_and_in_the_report_for_ci(tmp_path, place):
    speaks = SPEAKS.replace("{", '{"note": "a placeholder: the model is not loaded", ')
    junit = tmp_path / "trial.xml"
    made = package(tmp_path, **WORDS | {"speech.py": speaks})
    code, _, told = run(place, "run", str(made), "--drill-seconds", "0", "--junit", str(junit))
    assert code == 0, told
    warning = "Sample 'hello' of task 'say' answered 'placeholder' in 'note': see whether its model worked."
    assert f"warnings: {warning}" in told
    assert warning in junit.read_text()


def test_a_package_that_fails_can_be_kept_and_run_by_hand(tmp_path, place):
    broken = package(tmp_path, **WORDS | {"speech.py": SPEAKS.replace("upper()", "louder()")})
    junit = tmp_path / "trial.xml"
    code, out, told = run(place, "run", str(broken), "--junit", str(junit), "--json")
    assert code == 1
    assert list(place.iterdir()) == []
    outcome = json.loads(out)
    assert outcome["passed"] is False
    assert outcome["kept"] is None
    assert outcome["failure_reason"].endswith(f"Reproduce: seatrial trial run {broken} --keep")
    assert ElementTree.parse(junit).find(".//testcase[@name='prove']/failure") is not None

    code, out, told = run(place, "run", str(broken), "--keep")
    assert code == 1
    line = told.strip().rpartition("Reproduce: seatrial trial ")[2].split()
    code, out, told = run(place, *line)
    assert code == 1
    assert told.strip().endswith("AttributeError: 'str' object has no attribute 'louder'")


def test_samples_from_elsewhere_and_what_is_no_package(tmp_path, place):
    echo = {"code/inference.py": "def model_fn(d):\n    return 1\n\ndef predict_fn(data, model):\n    return data\n"}
    folder = tmp_path / "bare"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(echo["code/inference.py"])
    code, _, told = run(place, "run", str(folder))
    assert code == 1
    assert "no sample" in told
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "one.json").write_text('{"a": 1}')
    code, _, told = run(place, "run", str(folder), "--samples", str(samples), "--drill-seconds", "0")
    assert code == 0, told
    assert run(place, "run", str(tmp_path / "nothing"))[0] == 2
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_trial_leaves_nothing_behind(tmp_path, place, number):
    hangs = package(tmp_path, **WORDS | {"speech.py": SPEAKS.replace("return", "any(iter(int, 1)); return")})
    process = begin(place, "run", str(hangs))
    assert process.stderr is not None
    for line in process.stderr:
        if "will run 1 sample" in line:
            break
    (folder,) = place.glob("seatrial-trial-*")
    identity = f"{folder.stat().st_dev:x}-{folder.stat().st_ino:x}"
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert list(place.iterdir()) == []
    assert not workers_of(identity)


def workers_of(identity: str) -> list[str]:
    found = []
    for one in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"SEATRIAL_SERVER_ID={identity}".encode() in one.read_bytes():
                found.append(one.parent.name)
        except OSError:
            continue
    return found
