"""The command line with a real server: deploy, invoke, look, save a sample, delete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HANDLER = """\
class Handler:
    def copy(self, image: bytes, times: int = 1):
        print("copying", len(image), "bytes")
        if times < 0:
            raise ValueError("fewer than none")
        return {"bytes": len(image) * times, "copy": bytes(image)}

    def shout(self, text: str):
        return {"text": text.upper()}
"""
MANIFEST = """\
[package]
handler = "handler:Handler"

[tasks.copy]
aliases = ["duplicate"]
[tasks.copy.input.image]
type = "image"
form = "bytes"
required = true
key_field = "image_key"
bucket_field = "image_bucket"
[tasks.copy.input.times]
type = "integer"
default = 1
maximum = 9
[tasks.copy.output.parts.copy]
media_type = "image/png"
[[tasks.copy.samples]]
files = { image = "plan.png" }

[tasks.shout.input.text]
type = "string"
required = true
[[tasks.shout.samples]]
input = "hello.json"
"""


@pytest.fixture
def own_package(tmp_path: Path, png: Callable[[int, int], bytes]) -> Path:
    return write_package(tmp_path, png)


def write_package(tmp_path: Path, png: Callable[[int, int], bytes]) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "handler.py").write_text(HANDLER)
    (folder / "seatrial.toml").write_text(MANIFEST)
    (folder / "plan.png").write_bytes(png(16, 9))
    (folder / "hello.json").write_text('{"text": "hello"}')
    return folder


def test_from_a_package_to_results_and_back_to_a_sample(server: Any, own_package: Path, tmp_path: Path) -> None:
    cli, plan = server.cli, own_package / "plan.png"
    python = os.path.relpath(sys.executable)  # as a shell has it
    deployed = cli("deploy", str(own_package), "--name", "own", "--env", "A=1", "--python", python)
    assert "prove        passed" in deployed.stderr
    assert "InService" in deployed.stdout
    refused = cli("deploy", str(own_package), "--name", "own", check=False)
    assert (refused.returncode, "--update" in refused.stderr) == (1, True)

    out = tmp_path / "out.json"
    cli("invoke", "own", "--input", str(plan), "--task", "duplicate", "--field", "times=2", "--output", str(out))
    assert json.loads(out.read_text())["bytes"] == 2 * plan.stat().st_size
    assert (tmp_path / "out-copy.png").read_bytes() == plan.read_bytes()
    assert json.loads(cli("invoke", "own", "-t", "shout", "-f", "text=a", "--wait").stdout) == {"text": "A"}

    assert json.loads(cli("invoke", "own", "-t", "shout", "-f", "text=@@a", "--wait").stdout) == {"text": "@A"}

    failed = cli("invoke", "own", "-f", f"image=@{plan}", "-t", "copy", "-f", "times=-1", "--wait", check=False)
    assert (failed.returncode, "fewer than none" in failed.stderr) == (1, True)
    bad = cli("invoke", "own", "-i", str(plan), "-t", "copy", "-f", "times=10", check=False)
    assert (bad.returncode, "invalid_field" in bad.stderr) == (1, True)
    assert cli("invoke", "none", "-f", "a=1", check=False).returncode == 4

    page = json.loads(cli("jobs", "list", "--endpoint", "own", "--json").stdout)
    assert [job["status"] for job in page["jobs"]] == ["failed", "succeeded", "succeeded", "succeeded"]
    broken = page["jobs"][0]["id"]
    assert "handler_error" in cli("jobs", "show", broken).stdout
    assert "copying" in cli("jobs", "logs", broken).stdout
    assert cli("jobs", "follow", broken, check=False).returncode == 1
    retried = cli("jobs", "retry", page["jobs"][2]["id"]).stdout.strip()
    assert cli("jobs", "follow", retried).stdout.endswith("succeeded (attempt 1)\n")
    assert cli("jobs", "cancel", retried, check=False).returncode == 1
    assert f"{broken[:8]} copying" in cli("logs", "own", "--since", "5m").stdout
    shown = json.loads(cli("jobs", "list", "--status", "failed", "--json").stdout)
    assert [job["id"] for job in shown["jobs"]] == [broken]

    cli("jobs", "save-sample", broken, "--to", str(own_package), "--name", "crash", "--write")
    assert (own_package / "samples" / "crash-image.png").read_bytes() == plan.read_bytes()
    assert json.loads((own_package / "samples" / "crash.json").read_text()) == {"times": -1}
    _replace_only_with_force(cli, own_package, broken)
    proof = cli("deploy", str(own_package), "--name", "own", "--update", check=False)
    assert proof.returncode == 1
    assert "'crash'" in proof.stderr
    assert "fewer than none" in proof.stderr
    assert "InService" in cli("endpoints", "list").stdout

    cli("endpoints", "delete", "own")
    gone = cli("endpoints", "show", "own", check=False)
    assert (gone.returncode, "endpoint_not_found" in gone.stderr) == (4, True)


def _replace_only_with_force(cli: Callable[..., Any], own_package: Path, broken: str) -> None:
    manifest = (own_package / "seatrial.toml").read_text()
    save = ("jobs", "save-sample", broken, "--to", str(own_package), "--name", "crash", "--write")
    (own_package / "samples" / "crash.json").write_text("mine")
    again = cli(*save, check=False)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    assert (own_package / "samples" / "crash.json").read_text() == "mine"
    cli(*save, "--force")
    assert (own_package / "seatrial.toml").read_text() == manifest
    assert json.loads((own_package / "samples" / "crash.json").read_text()) == {"times": -1}


@pytest.fixture(scope="module")
def served(shared_server: Any, tmp_path_factory: pytest.TempPathFactory, png: Callable[[int, int], bytes]) -> Any:
    """A server with the package in service, for those that change nothing."""
    shared_server.cli("deploy", str(write_package(tmp_path_factory.mktemp("served"), png)), "--name", "own")
    return shared_server


def test_refusals_have_codes_that_scripts_can_use(served: Any, own_package: Path) -> None:
    cli, plan = served.cli, own_package / "plan.png"
    assert cli("invoke", "own", "-t", "whisper", check=False).returncode == 4
    assert cli("invoke", "own", "-i", str(plan), "-t", "whisper", "-f", "a=1", check=False).returncode == 4
    assert cli("invoke", "own", "-t", "shout", "-f", "text=a", "--priority", "10", check=False).returncode == 2
    assert json.loads(cli("invoke", "own", "-t", "shout", "-f", "text=1", "--wait").stdout) == {"text": "1"}
    assert json.loads(cli("invoke", "own", "-f", "task=shout", "-f", "text=null", "--wait").stdout) == {"text": "NULL"}
    assert cli("logs", "own", "--since", "bogus", check=False).returncode == 2
    assert cli("logs", "own", "--since", "bogus", "--follow", check=False).returncode == 2
    assert cli("jobs", "list", "--endpoint", "nope", check=False).returncode == 4


def test_the_printed_calls_work_as_pasted(served: Any, own_package: Path, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes((own_package / "plan.png").read_bytes())
    environment = served.environment | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for task, expected in (("copy", b'"bytes": '), ("shout", b'"TEXT"')):
        for call in ("curl", "python", "boto3", "aws"):
            pasted = served.cli("describe", "own", "--task", task, "--call", call).stdout
            shell = [sys.executable, "-c"] if call in ("python", "boto3") else ["bash", "-c"]
            done = subprocess.run([*shell, pasted], cwd=tmp_path, env=environment, capture_output=True, timeout=60)
            assert done.returncode == 0, done.stderr
            if call == "aws":
                assert b"OutputLocation" in done.stdout
            else:
                assert expected in done.stdout, (call, done.stdout)


def test_describe_shows_tasks_fields_and_limits(served: Any) -> None:
    shown = served.cli("describe", "own").stdout
    assert "task copy (also duplicate)" in shown
    assert "or an object key in 'image_key'; a key's bucket in 'image_bucket'" in shown
    assert re.search(r"times\tinteger\tno\t≤ 9; default 1", shown)
    told = json.loads(served.cli("describe", "own", "--task", "shout", "--json").stdout)
    assert list(told["calls"]) == ["shout"]
    copy, shout = told["contract"]["tasks"]
    assert "pixels_max" in copy["fields"][0]
    assert not {"form", "sources", "formats", "bytes_max", "pixels_max"} & set(shout["fields"][0])
    assert served.cli("describe", "own", "--task", "whisper", check=False).returncode == 4


def test_outside_samples_prove_a_package_that_has_none(server: Any, own_package: Path, tmp_path: Path) -> None:
    text = MANIFEST.replace('[[tasks.shout.samples]]\ninput = "hello.json"\n', "")
    (own_package / "seatrial.toml").write_text(text)
    refused = server.cli("deploy", str(own_package), "--name", "own", check=False)
    assert (refused.returncode, "no sample" in refused.stderr) == (1, True)
    samples = tmp_path / "samples" / "shout"
    samples.mkdir(parents=True)
    (samples / "loud.json").write_text('{"text": "loud"}')
    proved = server.cli("deploy", str(own_package), "--name", "own", "--update", "--samples", str(samples.parent))
    assert "8 runs passed" in proved.stderr  # two samples, an alias, five more forms of the picture

    uri = server.cli("deploy", str(own_package), "--name", "own", "--update", "--samples", "s3://none/x", check=False)
    assert (uri.returncode, "s3://none/x" in uri.stderr) == (1, True)


def test_deploy_takes_every_setting_of_the_api(server: Any, own_package: Path) -> None:
    server.client("s3").create_bucket(Bucket="results")
    options = ["--timeout-seconds", "77", "--queue-ttl-seconds", "88", "--output-prefix", "s3://results/own"]
    options += ["--load-timeout-seconds", "99", "--env", "A=b=c", "--json"]
    told = server.cli("deploy", str(own_package), "--name", "own", *options)
    (version,) = json.loads(told.stdout)["versions"]
    assert (version["invocation_timeout_seconds"], version["queue_ttl_seconds"]) == (77, 88)
    assert version["env"] == {"A": "b=c"}
    job = json.loads(server.cli("invoke", "own", "-t", "shout", "-f", "text=a", "--json").stdout)
    assert job["result"].startswith("s3://results/own/")
    secret = ("--secret", "TOKEN=env:SEATRIAL_NO_SUCH_SECRET")
    refused = server.cli("deploy", str(own_package), "--name", "secret", *secret, check=False)
    assert (refused.returncode, "SEATRIAL_NO_SUCH_SECRET" in refused.stderr) == (1, True)
    rows = server.cli("endpoints", "list").stdout.splitlines()
    assert [row.partition("\t")[0] for row in rows] == ["NAME", "own", "secret"]


def test_a_second_server_or_a_taken_port_is_one_clear_line(server: Any, tmp_path: Path) -> None:
    second = server.cli("serve", "--data", str(server.data), "--port", "0", check=False)
    assert second.returncode == 1
    assert "stop it first" in second.stderr.splitlines()[-1]
    port = server.url.rpartition(":")[2]
    taken = server.cli("serve", "--data", str(tmp_path / "other"), "--port", port, check=False)
    assert taken.returncode == 1
    assert "--port 0" in taken.stderr.splitlines()[-1]


def test_a_base_interpreter_is_tried_at_the_start(server: Any, tmp_path: Path) -> None:
    options = ("serve", "--data", str(tmp_path / "other"), "--port", "0", "--python")
    absent = server.cli(*options, "environment/bin/python", check=False)
    assert absent.returncode == 1
    assert f"'{Path.cwd() / 'environment/bin/python'}'; name another with --python" in absent.stderr.splitlines()[-1]
    old = server.cli(*options, "3.4", check=False)
    assert (old.returncode, "Python 3.4 is not installed" in old.stderr) == (1, True)
