"""A signed document is genuine or it is not; what it is bound to says what changed."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seatrial.adapters.system.machine import ThisMachine
from seatrial.adapters.system.signing_key import SigningKeyUnusable, load_or_create_signing_key
from seatrial.cli.main import app
from seatrial.domain.limits import NAMES_SHOWN_MAX
from seatrial.engine.report import NotGenuine, key_id, opened, sealed
from seatrial.engine.report.bindings import bound, changes

STAGE = {"stage": "prove", "state": "passed", "message": "1 run passed", "started_at_ms": 1_000, "ended_at_ms": 3_500}
DOCUMENT: dict[str, Any] = {
    "endpoint": "plans",
    "version": 3,
    "state": "passed",
    "unproven": True,
    "failure_reason": None,
    "bound_to": {"platform": bound({"machine": "x86_64"})},
    "stages": [STAGE],
    "text": "grüße\u2028",
}


@pytest.fixture
def signer(tmp_path: Path) -> Any:
    return load_or_create_signing_key(tmp_path)


def test_what_was_signed_comes_out_again(signer: Any) -> None:
    envelope = json.loads(json.dumps(sealed(DOCUMENT, signer)))
    assert opened(envelope, signer.public_pem) == DOCUMENT


def altered(envelope: dict[str, Any], how: str) -> dict[str, Any]:
    if how == "payload":
        payload = base64.b64decode(envelope["payload"]).replace(b'"passed"', b'"failed"')
        return envelope | {"payload": base64.b64encode(payload).decode()}
    if how == "type":
        return envelope | {"payloadType": "application/json"}
    if how == "signature":
        (signature,) = envelope["signatures"]
        return envelope | {"signatures": [signature | {"sig": base64.b64encode(bytes(64)).decode()}]}
    if how == "nobody":
        return envelope | {"signatures": []}
    return {"anything": 1} if how == "no envelope" else envelope | {"payload": "no base64!"}


@pytest.mark.parametrize("how", ["payload", "type", "signature", "nobody", "no envelope", "garbage"])
def test_whatever_is_altered_shows(signer: Any, how: str) -> None:
    with pytest.raises(NotGenuine):
        opened(altered(sealed(DOCUMENT, signer), how), signer.public_pem)


def test_another_key_is_named(signer: Any, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = load_or_create_signing_key(tmp_path / "other")
    with pytest.raises(NotGenuine, match=f"{key_id(signer.public_pem)}, not with {key_id(other.public_pem)}"):
        opened(sealed(DOCUMENT, signer), other.public_pem)


def test_a_key_is_made_once_and_a_damaged_one_is_not_replaced(signer: Any, tmp_path: Path) -> None:
    assert load_or_create_signing_key(tmp_path).public_pem == signer.public_pem
    file = tmp_path / "signing-key.pem"
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    file.write_text("nothing")
    with pytest.raises(SigningKeyUnusable, match=r"signing-key\.pem is damaged"):
        load_or_create_signing_key(tmp_path)
    assert file.read_text() == "nothing"


def test_changes_are_named() -> None:
    then = {
        "environment": bound({"distributions": {"numpy": "2.1.0", "old": "1"}}),
        "platform": bound({"libc": "glibc 2.36"}),
    }
    now = {"environment": {"distributions": {"numpy": "2.2.0", "new": "3"}}, "device": {"cpu": "x"}}
    assert changes(then, now) == ["environment: new none → 3, numpy 2.1.0 → 2.2.0, old 1 → none"]
    assert changes(then, {"platform": {"libc": "glibc 2.36"}}) == []
    many = bound({"distributions": {f"p{number}": "1" for number in range(NAMES_SHOWN_MAX + 2)}})
    (said,) = changes({"environment": many}, {"environment": {"distributions": {}}})
    assert said.endswith(" and 2 more")


def test_the_order_of_facts_does_not_count() -> None:
    assert bound({"a": 1, "b": {"c": 2, "d": 3}})["sha256"] == bound({"b": {"d": 3, "c": 2}, "a": 1})["sha256"]


def test_this_machine_says_the_same_twice() -> None:
    machine = ThisMachine()
    for ask in (machine.platform, lambda: machine.device("cpu"), lambda: machine.device("cuda:0")):
        facts = ask()
        assert facts == ask()
        assert all(isinstance(value, str) and value for value in facts.values())


@pytest.mark.parametrize(
    ("how", "with_key", "code", "words"),
    [
        ("as it was", True, 0, "genuine: signed by"),
        ("the envelope alone", True, 0, "genuine: signed by"),
        ("as it was", False, 3, "nothing here says whose it is"),
        ("payload", True, 1, "was changed after it was signed"),
        ("report", True, 1, "is not what was signed"),
        ("no json", True, 2, "is no report of a trial"),
        ("no report", True, 1, "it is no signed report"),
    ],
)
def test_a_file_is_verified_offline(
    signer: Any, tmp_path: Path, how: str, with_key: bool, code: int, words: str
) -> None:
    envelope = sealed(DOCUMENT, signer)
    shown: Any = {"report": DOCUMENT, "envelope": envelope, "public_key": signer.public_pem}
    if how == "payload":
        shown = {**shown, "envelope": altered(envelope, "payload")}
    elif how == "report":
        shown = {**shown, "report": DOCUMENT | {"state": "failed"}}
    elif how == "the envelope alone":
        shown = envelope
    elif how == "no report":
        shown = {"state": "passed"}
    (tmp_path / "report.json").write_text("{" if how == "no json" else json.dumps(shown))
    (tmp_path / "key.pem").write_text(signer.public_pem)
    command = ["trial", "show", "--verify", str(tmp_path / "report.json"), "--data", str(tmp_path / "none")]
    done = CliRunner().invoke(app, [*command, *(["--key", str(tmp_path / "key.pem")] if with_key else [])])
    assert done.exit_code == code, done.output
    assert words in done.output
    assert ("passed (unproven)" in done.output) is (code in (0, 3))
