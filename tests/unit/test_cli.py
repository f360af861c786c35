"""The command line without a server: help, exit codes, and the parts that need none."""

import ast
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from seatrial.cli import calls, checks, declaring, describe, media, screen, trial
from seatrial.cli.env import SERVICES
from seatrial.cli.failing import ExitCode
from seatrial.cli.main import app
from seatrial.config import RunningServer, all_settings, load_or_create_credentials, note_running

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that can be run, with its path."""
    nested = getattr(command, "commands", None)
    if nested is None:
        yield path, command
        return
    for name, one in nested.items():
        yield from commands(one, (*path, name))


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_the_help_of_every_command_shows_an_example(path: tuple[str, ...]) -> None:
    shown = RUNNER.invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    _, _, example = shown.output.partition("Example:")
    assert f"seatrial {' '.join(path)}" in example


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_is_in_the_reference(path: tuple[str, ...]) -> None:
    assert f"`seatrial {' '.join(path)}" in REFERENCE.read_text()


def test_every_command_speaks_json() -> None:
    for path, command in EVERY.items():
        assert any("--json" in one.opts for one in command.params), path


def test_the_help_of_serve_shows_every_setting() -> None:
    shown = RUNNER.invoke(app, ["serve", "--help"]).output
    for setting in all_settings():
        assert setting.option in shown
        assert f"[env: {setting.variable}]" in shown.replace("\n", " ") or setting.variable in shown
        assert setting.default in shown


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["--allow-private-urls"], "yes"),
        (["--allow-private-urls", "--port", "x"], "yes"),
        (["--allow-private-urls", "no"], "no"),
        (["--allow-private-urls=no"], "no"),
        (["--port", "1"], None),
    ],
)
def test_a_switch_of_serve_may_come_without_a_value(arguments: list[str], given: str | None) -> None:
    parsed = EVERY["serve",].make_context("serve", list(arguments))
    assert parsed.params["allow_private_urls"] == given


def test_the_exit_codes_are_documented() -> None:
    reference = REFERENCE.read_text()
    for code in ExitCode:
        assert f"| {int(code)} |" in reference


def test_a_bad_setting_is_a_usage_error_of_one_line(tmp_path: Path) -> None:
    refused = RUNNER.invoke(app, ["serve", "--data", str(tmp_path), "--port", "x"])
    assert refused.exit_code == ExitCode.USAGE
    assert refused.stderr.startswith("seatrial: --port: ")
    assert refused.stderr.count("\n") == 1


def test_without_a_server_commands_say_so_with_a_remedy(tmp_path: Path) -> None:
    for command in (["endpoints", "list"], ["env"]):
        refused = RUNNER.invoke(app, [*command, "--data", str(tmp_path)])
        assert refused.exit_code == ExitCode.UNREACHABLE
        assert "seatrial serve" in refused.stderr


def test_a_server_that_was_killed_is_unreachable(tmp_path: Path) -> None:
    load_or_create_credentials(tmp_path)
    note_running(tmp_path, RunningServer("http://127.0.0.1:9", 1, "us-east-1"))
    refused = RUNNER.invoke(app, ["jobs", "list", "--data", str(tmp_path)])
    assert refused.exit_code == ExitCode.UNREACHABLE
    assert "no server answers at http://127.0.0.1:9" in refused.stderr


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "seatrial", "version"], capture_output=True, text=True, check=True)
    assert done.stdout == RUNNER.invoke(app, ["version"]).output


# ---------------------------------------------------------------- env


@pytest.fixture
def running(tmp_path: Path) -> Path:
    load_or_create_credentials(tmp_path)
    note_running(tmp_path, RunningServer("http://127.0.0.1:1234", 1, "eu-west-3"))
    return tmp_path


def test_env_prints_what_a_shell_can_evaluate(running: Path) -> None:
    printed = RUNNER.invoke(app, ["env", "--data", str(running)]).output
    told = json.loads(RUNNER.invoke(app, ["env", "--data", str(running), "--json"]).output)
    assert set(told) == {
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION",
        "SEATRIAL_URL", "SEATRIAL_API_KEY", "SEATRIAL_WEBHOOK_SECRET",
    }  # fmt: skip
    read = dict(pair.split("=", 1) for word, pair in map(shlex.split, printed.splitlines()) if word == "export")
    assert read == told
    assert told["AWS_DEFAULT_REGION"] == "eu-west-3"


def test_env_for_some_services_uses_the_names_that_botocore_reads(running: Path) -> None:
    arguments = ["env", "--data", str(running), "--json", "--services", ",".join(SERVICES)]
    told = json.loads(RUNNER.invoke(app, arguments).output)
    assert "AWS_ENDPOINT_URL" not in told
    import botocore.session

    session = botocore.session.get_session()
    for service in ("sagemaker", "sagemaker-runtime", "s3", "logs", "sts"):
        name = session.get_service_model(service).service_id.replace(" ", "_").upper()
        assert told[f"AWS_ENDPOINT_URL_{name}"] == "http://127.0.0.1:1234"


def test_env_refuses_a_service_that_is_not_offered(running: Path) -> None:
    refused = RUNNER.invoke(app, ["env", "--data", str(running), "--services", "s3,sqs"])
    assert refused.exit_code == ExitCode.USAGE
    assert "'sqs'" in refused.stderr


# ---------------------------------------------------------------- calls


def field(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "required": True, "default": None, "schema": {}, "formats": [], **more}


CONTRACT = {
    "task_field": "task",
    "tasks": [
        {"name": "find", "fields": [field("image", "image", formats=["jpeg"]), field("scale", "number")]},
        {"name": "say", "fields": [field("text", "string", schema={"minLength": 6}), field("n", "integer", default=2)]},
    ],
}


def test_a_call_names_its_task_and_fills_in_what_is_required() -> None:
    call = calls.call_of("plans", CONTRACT, CONTRACT["tasks"][0])  # type: ignore[index]
    assert call.payload() == {"task": "find", "scale": 1.0, "image": "s3://seatrial-inputs/image.jpeg"}
    assert "-F image=@image.jpeg" in calls.curl(call)
    say = calls.call_of("plans", CONTRACT, CONTRACT["tasks"][1])  # type: ignore[index]
    assert say.payload() == {"task": "say", "text": "textxx", "n": 2}


@pytest.mark.parametrize("task", [0, 1])
def test_the_calls_are_sound_in_their_languages(task: int) -> None:
    call = calls.call_of("plans", CONTRACT, CONTRACT["tasks"][task])  # type: ignore[index]
    for make in (calls.python, calls.boto3):
        ast.parse(make(call))
    for make in (calls.curl, calls.aws):
        subprocess.run(["sh", "-n", "-c", make(call)], check=True)


# ---------------------------------------------------------------- media


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.bin", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("photo.png", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("a.json", b"{}", "application/json"),
        ("-", b' {"a": 1}', "application/json"),
        ("notes.txt", b"{curly}", "text/plain"),
        ("a", b"\0\1", "application/octet-stream"),
    ],
)
def test_media_types_come_from_the_bytes_before_the_name(name: str, content: bytes, expected: str) -> None:
    assert media.media_type_of(name, content) == expected


def test_parts_go_beside_the_result() -> None:
    assert media.beside(Path("out/rooms.json"), "overlay", "image/png") == Path("out/rooms-overlay.png")
    assert media.beside(Path("out/solid.json"), "points", "application/x-ply") == Path("out/solid-points.ply")


# ---------------------------------------------------------------- doctor, init


def test_doctor_says_what_each_check_found(tmp_path: Path) -> None:
    shown = RUNNER.invoke(app, ["doctor", "--data", str(tmp_path / "new"), "--port", "0", "--json"])
    found = {one["name"]: one for one in json.loads(shown.output)}
    assert len(found) == len(checks.CHECKS)
    assert found["python"]["level"] == "ok"
    assert not (tmp_path / "new").exists()
    assert all(one["remedy"] for one in found.values() if one["level"] != "ok")
    assert shown.exit_code == (1 if "fail" in [one["level"] for one in found.values()] else 0)


def test_doctor_sees_a_taken_port(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check = checks.check_port(checks.Machine(tmp_path, "127.0.0.1", port))
    assert check.level == checks.Level.WARN
    assert str(port) in check.message


def test_init_in_a_new_folder_makes_a_package_that_reads(tmp_path: Path) -> None:
    from seatrial.package.manifest import read_manifest

    folder = tmp_path / "new"
    done = RUNNER.invoke(app, ["init", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    assert {Path(one).name for one in json.loads(done.output)["files"]} == {
        "handler.py", "count_words.json", "seatrial.toml",
    }  # fmt: skip
    (task,) = read_manifest(folder).contract.tasks
    assert task.name == "count_words"
    assert [sample.input for sample in task.samples] == ["samples/count_words.json"]
    again = RUNNER.invoke(app, ["init", str(folder)])
    assert again.exit_code == ExitCode.FAILED
    assert "nothing is overwritten" in again.stderr


@pytest.mark.parametrize("text", [None, "[1", "{}"])
def test_init_that_refuses_makes_nothing(tmp_path: Path, text: str | None) -> None:
    sample = tmp_path / "sample.json"
    if text is not None:
        sample.write_text(text)
    refused = RUNNER.invoke(app, ["init", str(tmp_path / "new"), "--sample", str(sample)])
    assert refused.exit_code == (ExitCode.USAGE if text is None else ExitCode.FAILED)
    assert not (tmp_path / "new").exists()


def test_deploy_of_nothing_is_a_usage_error(running: Path) -> None:
    refused = RUNNER.invoke(app, ["deploy", str(running / "none"), "--name", "x", "--data", str(running)])
    assert refused.exit_code == ExitCode.USAGE
    assert re.search("neither a directory nor an archive", refused.stderr)


# ---------------------------------------------------------------- refused before a server is asked


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "list", "--status", "bogus"],
        ["deploy", ".", "--name", "bad name!"],
        ["deploy", ".", "--name", "x", "--workers", "-1"],
        ["deploy", ".", "--name", "x", "--secret", "TOKEN=swordfish"],
        ["deploy", ".", "--name", "x", "--output-prefix", "results"],
        ["deploy", ".", "--name", "x", "--samples", "s3://"],
        ["deploy", ".", "--name", "x", "--env", "A"],
        ["invoke", "x", "--field", "a"],
    ],
)
def test_a_bad_option_is_a_usage_error_even_without_a_server(tmp_path: Path, arguments: list[str]) -> None:
    refused = RUNNER.invoke(app, [*arguments, "--data", str(tmp_path)])
    assert refused.exit_code == ExitCode.USAGE, refused.output
    assert "swordfish" not in refused.output


def test_a_place_for_the_result_is_made_before_the_job(tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder" / "out.json"
    (tmp_path / "file").touch()
    for place, code in (
        (output, ExitCode.UNREACHABLE),
        (tmp_path / "file" / "out.json", ExitCode.USAGE),
        (tmp_path, ExitCode.USAGE),
    ):
        arguments = ["invoke", "x", "--field", "a=b", "--output", str(place), "--data", str(tmp_path / "none")]
        assert RUNNER.invoke(app, arguments).exit_code == code
    assert output.parent.is_dir()


def test_env_does_not_advise_what_it_does_not_read(tmp_path: Path) -> None:
    assert "SEATRIAL_URL" not in RUNNER.invoke(app, ["env", "--data", str(tmp_path)]).output
    assert "SEATRIAL_API_KEY" not in RUNNER.invoke(app, ["env", "--help"]).output
    assert "SEATRIAL_URL" in RUNNER.invoke(app, ["jobs", "list", "--data", str(tmp_path)]).output


def test_the_help_of_invoke_shows_a_field() -> None:
    assert "--field" in RUNNER.invoke(app, ["invoke", "--help"]).output.partition("Example:")[2]


# ---------------------------------------------------------------- tables, progress, manifests


def test_a_row_of_a_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_table(["name", "failure"], [("a", "load: it failed\nTraceback\tof it")], "")
    assert capsys.readouterr().out == "NAME\tFAILURE\na\tload: it failed Traceback of it\n"


def fetching(done: int) -> list[dict[str, Any]]:
    details = {"what": "fetching big", "done": done, "total": 30}
    return [
        {
            "stage": "weights", "state": "running", "message": f"fetching big {done} of 30 bytes", "details": details,
            "started_at": "2026-01-31T12:00:00Z", "ended_at": None,
        }
    ]  # fmt: skip


def test_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = trial.Lines(lambda: now[0])
    for at, done in ((0.0, 1), (1.0, 2), (4.9, 3), (5.0, 4), (5.1, 5), (11.0, 5), (30.0, 5)):
        now[0] = at
        lines.show(fetching(done))
    said = re.findall(r"big (\d+) of 30", capsys.readouterr().err)
    assert said == ["1", "4", "5"]


def test_progress_on_a_terminal_is_a_bar() -> None:
    from rich.console import Console

    shown = io.StringIO()
    board = trial.LiveTable(Console(file=shown, force_terminal=True, color_system=None, width=120))
    with board.live:
        board.show(fetching(15))
    assert "fetching big 15 of 30 bytes" in shown.getvalue()
    assert "\u2501" * (trial.BAR_COLUMNS // 2) in shown.getvalue()


TABLE = '[[tasks."copy".samples]]\nname = "crash"\ninput = "samples/crash.json"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[tasks.copy]\n", "[tasks.copy]\n\n"),
        ("[tasks.copy]", "[tasks.copy]\n\n"),
        ('[tasks.copy]\n[[tasks.copy.samples]]\nname = "crash"\nfiles = { a = "b" }\n', "[tasks.copy]\n\n"),
        ('[tasks.copy]\n[[tasks.copy.samples]]\ninput = "x/crash.json"\n', "[tasks.copy]\n\n"),
        (
            '[[tasks.copy.samples]]\nname="crash"\n[tasks.copy.samples.files]\na="b"\n\n# next\n[env]\n',
            "# next\n[env]\n\n",
        ),
        ('[[tasks.say.samples]]\nname = "crash"\n', '[[tasks.say.samples]]\nname = "crash"\n\n'),
    ],
)
def test_a_sample_is_declared_once(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "seatrial.toml"
    path.write_text(before)
    declaring.Manifest(path).declare("copy", "crash", TABLE)
    assert path.read_text() == after + TABLE


def test_a_sample_that_cannot_be_taken_out_stays(tmp_path: Path) -> None:
    path = tmp_path / "seatrial.toml"
    path.write_text('[tasks.copy]\nsamples = [{ name = "crash" }]\n')
    assert declaring.Manifest(path).declares("copy", "crash")
    with pytest.raises(typer.Exit) as ended:
        declaring.Manifest(path).declare("copy", "crash", TABLE)
    assert ended.value.exit_code == ExitCode.FAILED
    assert "samples = [" in path.read_text()


def test_a_trial_is_shown_without_saying_so() -> None:
    short, long = (RUNNER.invoke(app, ["trial", *words, "echo", "--data", "nowhere"]) for words in ([], ["show"]))
    assert (short.exit_code, short.output) == (long.exit_code, long.output)
    assert short.exit_code == ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (1_000_000, "at most 1 megapixel"),
        (25_000_000, "at most 25 megapixels"),
        (500_000, "at most 0.5 megapixels"),
    ],
)
def test_describe_says_how_large_a_picture_may_be(pixels: int, words: str) -> None:
    assert describe._pixels({"pixels_max": pixels, "modes": ["RGB"]}) == ["RGB", words]
