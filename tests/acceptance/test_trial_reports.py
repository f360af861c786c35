"""Every trial leaves a signed report, bound to what it was made on, that anybody can keep, read and verify."""

from __future__ import annotations

import base64
import json
import stat
import sys
import venv
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PACKAGES = Path(__file__).resolve().parents[1] / "packages"
NASTY = """</script><script>alert("pwned")</script><img src=x onerror=alert(1)> {{ 7 * 7 }} & 'quoted'"""
HANDLER = """
import base64, json, struct, zlib

def png():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\\0\\x7f")) + chunk(b"IEND", b""))

def glb():
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    accessor = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
    text = json.dumps({"asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
                       "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}], "accessors": [accessor],
                       "bufferViews": [{"buffer": 0, "byteLength": 36}], "buffers": [{"byteLength": 36}]}).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", 36, b"BIN\\0") + points
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body

class Model:
    def make(self, text):
        return {"said": NASTY, "rows": [{"id": 1, "note": text}], "picture": png(), "mesh": glb(),
                "inline": base64.b64encode(png()).decode()}

NASTY = SAID
"""
TOML = """
[package]
handler = "model:Model"
python = "PYTHON"

[tasks.make.input.text]
type = "string"
required = true

[tasks.make.output.parts.picture]
media_type = "image/png"
[tasks.make.output.parts.mesh]
media_type = "model/gltf-binary"

[[tasks.make.samples]]
name = "one"
input = "one.json"
"""
BINDINGS = ["package", "environment", "interpreter", "platform", "device", "samples"]


def package(python: Path | str = sys.executable) -> Mapping[str, str]:
    body = json.dumps({"text": f"sent: {NASTY}"})
    return {
        "model.py": HANDLER.replace("SAID", repr(NASTY)),
        "seatrial.toml": TOML.replace("PYTHON", str(python)),
        "one.json": body,
    }


def trial(api: Any, name: str, version: int | None = None) -> dict[str, Any]:
    answer = api.http.get(f"/v1/endpoints/{name}/trial", params={} if version is None else {"version": version})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def verified(shown: Mapping[str, Any], public_key: str) -> dict[str, Any]:
    """What was signed, by the letter of DSSE 1.0 and with nothing of ours."""
    envelope = shown["envelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    (signature,) = envelope["signatures"]
    message = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    key: Any = load_pem_public_key(public_key.encode())
    key.verify(base64.b64decode(signature["sig"]), message)
    return dict(json.loads(payload))


class Elements(HTMLParser):
    """Every element with its attributes, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        else:
            self.text += data


@pytest.fixture
def served(api: Any) -> Any:
    """One endpoint for those who only look."""
    if api.http.get("/v1/endpoints/shapes").status_code == 404:
        api.serve("shapes", package())
    return api


def test_a_report_is_signed_and_bound_and_says_what_was_made(served: Any) -> None:
    shown = trial(served, "shapes")
    key = served.http.get("/v1/trial-key").json()
    report = verified(shown, key["public_key"])
    assert report == shown["report"]
    assert shown["envelope"]["signatures"][0]["keyid"] == key["key_id"]
    assert (shown["state"], shown["stale"], shown["active"]) == ("passed", False, True)
    assert list(report["bound_to"]) == BINDINGS
    assert report["bound_to"]["package"]["facts"] == {"content": report["package"]["sha256"]}
    stages = [one["stage"] for one in shown["stages"]]
    assert stages == ["inspect", "environment", "weights", "load", "prove", "refuse", "drill", "report"]
    assert [one["stage"] for one in report["stages"]] == stages[:-1]  # the last one is the signing itself
    (sample,) = report["samples"]
    kinds = {one["name"]: (one["role"], one["media_type"]) for one in sample["items"]}
    assert kinds == {
        "request": ("input", "application/json"),
        "result": ("output", "application/json"),
        "picture": ("output", "image/png"),
        "mesh": ("output", "model/gltf-binary"),
    }
    job = served.job(sample["job_id"])
    assert {part["name"]: part["sha256"] for part in job["parts"]} == {
        one["name"]: one["sha256"] for one in sample["items"] if one["role"] == "output"
    }


def test_the_page_needs_nothing_else_and_runs_nothing_that_a_handler_said(served: Any) -> None:
    answer = served.http.get("/v1/endpoints/shapes/trial.html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    page = Elements(answer.text)
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in page.found
    names = ("src", "href", "data", "action", "srcset")
    links = [value or "" for _, one in page.found for name, value in one.items() if name in names]
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links), links
    assert not [one for _, one in page.found if any(name.startswith("on") for name in one)]
    assert [one.get("type") for tag, one in page.found if tag == "script"] == ["application/octet-stream", None]
    assert base64.b64decode(page.scripts[0]).startswith(b"glTF")
    assert "pwned" not in page.scripts[1]
    assert sum(tag == "img" for tag, _ in page.found) == 2  # the part, and the one within the JSON
    assert page.text.count(NASTY) == 3, "in the request, and twice in the answer"


def test_a_failed_trial_has_a_report_and_older_versions_keep_theirs(api: Any, tmp_path: Path) -> None:
    api.serve("twice", package())
    broken = {**package(), "model.py": "class Model:\n    def make(self, text):\n        return {}['nothing']\n"}
    api.begin("twice", broken)
    failed = api.until("twice", lambda one: one["status"] == "InService")
    assert failed["failure_reason"].startswith("Rolled back.")
    shown = trial(api, "twice")
    assert (shown["version"], shown["state"], shown["active"], shown["stale"]) == (2, "failed", False, None)
    report = verified(shown, shown["public_key"])
    assert (report["stages"][-1]["stage"], report["stages"][-1]["state"]) == ("prove", "failed")
    assert "KeyError" in report["failure_reason"]
    assert list(report["bound_to"]) == BINDINGS
    assert trial(api, "twice", 1)["state"] == "passed"
    missing = api.http.get("/v1/endpoints/shapes/trial", params={"version": 3})
    assert (missing.status_code, missing.json()["error_type"]) == (404, "version_not_found")

    data = ("--data", str(api.server.data))
    assert "prove\tfailed" in api.server.cli("trial", "twice", *data).stdout
    page = tmp_path / "first.html"
    api.server.cli("trial", "report", "twice", "--version", "1", "--output", str(page), *data)
    assert "<title>Sea trial of twice, version 1: passed</title>" in page.read_text()

    gone = api.deploy("nowhere", {"seatrial.toml": "[package]\nhandler = 'missing:Model'\n"})
    assert gone["status"] == "Failed"
    assert list(trial(api, "nowhere")["report"]["bound_to"]) == ["package", "platform"]  # it came no further


def test_it_is_stale_once_something_changes_and_a_start_finds_that_out(own_api: Any, tmp_path: Path) -> None:
    api = own_api
    venv.create(tmp_path / "base", symlinks=True)
    api.serve("shapes", package(tmp_path / "base" / "bin" / "python"))
    assert api.endpoint("shapes")["stale"] is False
    packages = next((tmp_path / "base").glob("lib/python*/site-packages"))
    note = packages / "seafaring-2.0.dist-info" / "METADATA"
    note.parent.mkdir()
    note.write_text("Metadata-Version: 2.1\nName: seafaring\nVersion: 2.0\n")

    api.server.terminate()
    api.server.start()
    api.reconnect()
    endpoint = api.until("shapes", lambda one: one["stale"] is not None)
    assert endpoint["stale_because"] == ["environment: seafaring none → 2.0"]
    assert endpoint["status"] == "InService", "it is shown, not taken out"
    data = ("--data", str(api.server.data))
    for command in (("endpoints", "list"), ("describe", "shapes"), ("endpoints", "show", "shapes")):
        assert "InService (stale)" in api.server.cli(*command, *data).stdout
    assert "passed (stale)" in api.server.cli("trial", "shapes", *data).stdout
    assert "Stale when this page was made" in api.http.get("/v1/endpoints/shapes/trial.html").text

    note.unlink()
    note.parent.rmdir()
    assert trial(api, "shapes")["stale"] is False, "asking looks anew"
    stored = api.server.data / "packages" / endpoint["versions"][0]["package_sha256"] / "one.json"
    stored.chmod(0o644)
    stored.write_text("{}")
    (changed,) = trial(api, "shapes")["stale_because"]
    assert changed.startswith("package: content ")
    told = api.server.cli("endpoints", "history", "shapes", "--kind", "report", *data).stdout.splitlines()[1:]
    assert [line.split("\t")[1:3] for line in told] == [["report", "stale"], ["report", "holds"], ["report", "stale"]]
    assert "environment: seafaring none → 2.0" in told[-1]


def test_samples_from_outside_are_a_part_of_it(api: Any) -> None:
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="outside-samples")
    s3.put_object(Bucket="outside-samples", Key="mine/two.json", Body=b'{"text": "two"}')
    api.serve("sampled", package(), samples="s3://outside-samples/mine")
    assert len(trial(api, "sampled")["report"]["samples"]) == 2
    s3.put_object(Bucket="outside-samples", Key="mine/two.json", Body=b'{"text": "another"}')
    (changed,) = trial(api, "sampled")["stale_because"]
    assert changed.startswith("samples: sha256 ")


@pytest.mark.slow  # two servers more
def test_it_survives_a_backup_and_is_verified_offline(
    own_api: Any, start_server: Any, api_of: Any, tmp_path: Path
) -> None:
    own_api.serve("shapes", package())
    cli, data = own_api.server.cli, own_api.server.data
    assert stat.S_IMODE((data / "signing-key.pem").stat().st_mode) == 0o600
    cli("backup", str(tmp_path / "all.tar"), "--data", str(data))
    cli("restore", str(tmp_path / "all.tar"), "--data", str(tmp_path / "second" / "data"))
    copy = api_of(start_server(tmp_path / "second" / "data"))
    before, after = trial(own_api, "shapes"), trial(copy, "shapes")
    assert after["envelope"] == before["envelope"]
    assert after["public_key"] == before["public_key"]
    assert after["stale"] is False
    assert "data:image/png;base64," in copy.http.get("/v1/endpoints/shapes/trial.html").text

    (tmp_path / "report.json").write_text(cli("trial", "shapes", "--json", "--data", str(data)).stdout)
    (tmp_path / "key.pem").write_text(cli("trial", "key", "--data", str(data)).stdout)
    verify = ("trial", "show", "--verify", str(tmp_path / "report.json"))
    assert "genuine" in cli(*verify, "--key", str(tmp_path / "key.pem")).stderr
    page = tmp_path / "page.html"
    page.write_text(own_api.http.get("/v1/endpoints/shapes/trial.html").text)
    assert "genuine" in cli("trial", "show", "--verify", str(page), "--data", str(data)).stderr
    for file in (tmp_path / "report.json", page):
        alone = ("trial", "show", "--verify", str(file), "--data", str(tmp_path / "none"))
        assert cli(*alone, check=False).returncode == 3, "nobody says whose key it is"


def test_while_a_trial_goes_on_there_is_no_report_yet(api: Any, gate: Any) -> None:
    folder = PACKAGES / "obedient"
    files = {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    }
    api.begin("held", files | {"samples/sum.json": json.dumps({"code": gate.code})})
    gate.reached()
    shown = trial(api, "held")
    assert (shown["state"], shown["report"], shown["envelope"], shown["stale"]) == ("running", None, None, None)
    assert [one["state"] for one in shown["stages"]][-1] == "running"
    page = api.http.get("/v1/endpoints/held/trial.html")
    assert (page.status_code, page.json()["error_type"]) == (404, "trial_report_not_found")
    api.delete("held")
