import asyncio
import base64
import csv
import ensurepip
import hashlib
import io
import json
import os
import select
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from uv import find_uv_bin

from seatrial.adapters.environments import answers
from seatrial.adapters.environments import uv as uv_module
from seatrial.adapters.environments.answers import short_answer
from seatrial.adapters.environments.contents import contents_of
from seatrial.adapters.environments.installer import InstallerFailed, installer_environ, run_installer
from seatrial.adapters.environments.requirements import asks_for_something, wanted_lines
from seatrial.adapters.environments.resolve import resolve
from seatrial.adapters.environments.uv import MARKER, UvEnvironments
from seatrial.domain.errors import Unproven

OFFLINE = {**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, "PIP_NO_INDEX": "1"}
BASE = getattr(sys, "_base_executable", sys.executable)


def make_wheel(folder: Path, name: str, version: str = "1.0", needs: str = "") -> Path:
    """A real wheel with one module, `NAME.VERSION`."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    writer = csv.writer(record, lineterminator="\n")
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        writer.writerow([path, f"sha256={digest}", len(text)])
    writer.writerow([f"{info}/RECORD", "", ""])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": record.getvalue()}.items():
            wheel.writestr(file, text)
    return path


def require(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    requirements = folder / "requirements.txt"
    requirements.write_text(text)
    return requirements


def version_in(python: Path, module: str) -> str:
    code = f"import {module}; print({module}.VERSION)"
    return said_by(python, code)


def said_by(python: Path, code: str) -> str:
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def environments(tmp_path: Path) -> UvEnvironments:
    return UvEnvironments(tmp_path / "environments", environ=OFFLINE)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    make_wheel(tmp_path / "package" / "wheels", "greeting", needs="answer>=1")
    make_wheel(tmp_path / "package" / "wheels", "answer", "1.5")
    return tmp_path / "package"


def ignore(*_: object) -> None:
    pass


async def test_requirements_become_one_cached_environment(environments: UvEnvironments, package: Path) -> None:
    said: list[tuple[str, int, int | None]] = []
    requirements = require(package, "--find-links wheels\ngreeting\n")
    python = await environments.prepare(requirements, None, lambda *line: said.append(line))
    assert version_in(python, "greeting") == "1.0"
    assert version_in(python, "answer") == "1.5"
    assert any("greeting" in line for line, _, _ in said)
    assert [count for _, count, _ in said] == list(range(1, len(said) + 1))
    said.clear()
    require(package, "# the same\n--find-links   wheels\n\ngreeting  # and no more\n")
    again = UvEnvironments(python.parents[2], environ=OFFLINE)
    assert await again.prepare(requirements, None, lambda *line: said.append(line)) == python
    assert said == []


async def test_without_requirements_the_base_interpreter_runs(environments: UvEnvironments, tmp_path: Path) -> None:
    assert await environments.prepare(None, None, ignore) == Path(BASE)
    options = require(tmp_path / "p", "# nothing\n--no-index\n\n")
    assert await environments.prepare(options, sys.executable, ignore) == Path(sys.executable)
    assert not (tmp_path / "environments").exists()


async def test_two_builds_of_one_environment_wait_for_each_other(
    environments: UvEnvironments, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    async def counting(command: tuple[str, ...], *rest: object) -> None:
        commands.append(command[1])
        await run_installer(command, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(uv_module, "run_installer", counting)
    requirements = require(package, "--find-links wheels\nanswer\n")
    pythons = await asyncio.gather(*(environments.prepare(requirements, None, ignore) for _ in range(3)))
    assert len(set(pythons)) == 1
    assert commands == ["venv", "pip"]


async def test_a_half_built_environment_is_built_again(environments: UvEnvironments, package: Path) -> None:
    requirements = require(package, "--find-links wheels\nanswer\n")
    python = await environments.prepare(requirements, None, ignore)
    folder = python.parents[1]
    (folder / MARKER).unlink()
    (folder / "leftover").write_text("of the crash")
    assert await environments.prepare(requirements, None, ignore) == python
    assert not (folder / "leftover").exists()
    python.unlink()  # its base interpreter went away
    assert version_in(await environments.prepare(requirements, None, ignore), "answer") == "1.5"


async def test_changed_content_is_another_environment(environments: UvEnvironments, package: Path) -> None:
    make_wheel(package, "local", "1.0")
    wheel = "local-1.0-py3-none-any.whl"
    requirements = require(package, f"--find-links wheels\n./{wheel}\n-r more.txt\n")
    (package / "more.txt").write_text("answer\n")
    first = await environments.prepare(requirements, None, ignore)
    (package / "more.txt").write_text("answer==1.5\n")
    second = await environments.prepare(requirements, None, ignore)
    with zipfile.ZipFile(package / wheel, "a") as changed:
        changed.writestr("another.py", "")
    third = await environments.prepare(requirements, None, ignore)
    assert len({first, second, third}) == 3
    assert version_in(third, "local") == "1.0"


async def test_a_failed_build_says_the_installers_last_lines(environments: UvEnvironments, package: Path) -> None:
    requirements = require(package, "--find-links wheels\nno-such-thing==9\n")
    with pytest.raises(Unproven) as caught:
        await environments.prepare(requirements, None, ignore)
    assert caught.value.error_type == "environment"
    assert "no-such-thing" in caught.value.message
    assert "requirements file" in caught.value.details["remedy"]
    assert any("no-such-thing" in line for line in caught.value.details["installer"])


def pip_wheel() -> Path:
    """The wheel that venv installs: beside ensurepip, or where the distribution keeps its wheels (as Debian does)."""
    folders = [Path(ensurepip.__file__).parent / "_bundled", Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "_")]
    return next(wheel for folder in folders for wheel in folder.glob("pip-*.whl"))


def make_base(folder: Path, *wheels: Path) -> Path:
    """A virtual environment that holds these already, as a hand-made one with torch would."""
    python = folder / "bin" / "python"
    subprocess.run([find_uv_bin(), "venv", "-q", "--no-project", "--python", BASE, folder], check=True)
    subprocess.run([find_uv_bin(), "pip", "install", "-q", "--no-index", "--python", python, *wheels], check=True)
    return python


async def test_a_layer_over_an_environment_takes_what_that_has(environments: UvEnvironments, package: Path) -> None:
    pip = pip_wheel()
    base = await asyncio.to_thread(
        make_base, package.parent / "base", pip, make_wheel(package / "old", "answer", "1.1")
    )
    requirements = require(package, "--find-links wheels\ngreeting\n")
    python = await environments.prepare(requirements, str(base), ignore)
    assert version_in(python, "greeting") == "1.0"
    assert version_in(python, "answer") == "1.1"  # the base has it, so it is not installed again
    assert not await asyncio.to_thread(has_own, python, "answer")
    newer = require(package, "--find-links wheels\nanswer==1.5\n")
    assert version_in(await environments.prepare(newer, str(base), ignore), "answer") == "1.5"
    assert version_in(base, "answer") == "1.1"  # and the base stays as it is


async def test_a_layer_names_the_base_once_and_follows_what_that_names(
    environments: UvEnvironments, package: Path
) -> None:
    pip = pip_wheel()
    base = await asyncio.to_thread(
        make_base, package.parent / "base", pip, make_wheel(package / "old", "answer", "1.1")
    )
    (below,) = (package.parent / "base").glob("lib/python*/site-packages")
    editable = package.parent / "editable"
    editable.mkdir()
    (below / "editable.pth").write_text(f"{editable}\n")
    requirements = require(package, "--find-links wheels\ngreeting\n")
    python = await environments.prepare(requirements, str(base), ignore)
    (own,) = python.parents[1].glob("lib/python*/site-packages")
    assert (own / uv_module.LAYER).read_text().splitlines()[0] == str(below)
    code = "import sys; print(*sys.path, sep='\\n')"
    path = (await asyncio.to_thread(said_by, python, code)).split("\n")
    assert [one for one in path if one in (str(own), str(below), str(editable))] == [
        str(own),
        str(below),
        str(editable),
    ]


@pytest.mark.slow
async def test_a_layer_over_an_environment_without_pip(environments: UvEnvironments, package: Path) -> None:
    wheel = make_wheel(package / "old", "answer", "1.1")
    base = await asyncio.to_thread(make_base, package.parent / "base", wheel)
    requirements = require(package, "--find-links wheels\ngreeting\n")
    python = await environments.prepare(requirements, str(base), ignore)
    assert (version_in(python, "greeting"), version_in(python, "answer")) == ("1.0", "1.1")


def has_own(python: Path, module: str) -> bool:
    return any(python.parents[1].glob(f"lib/python*/site-packages/{module}*"))


@pytest.mark.parametrize(
    ("python", "word"),
    [("/no/such/python", "There is no interpreter"), ("2.1", "not installed"), ("python3", "There is no interpreter")],
)
async def test_an_interpreter_that_is_not_there_is_named(environments: UvEnvironments, python: str, word: str) -> None:
    with pytest.raises(Unproven, match=word) as caught:
        await environments.prepare(None, python, ignore)
    assert caught.value.field == "python"


def make_python(path: Path, version: str, *, runs: bool = True) -> Path:
    """What answers the questions that an interpreter of that version would be asked."""
    numbers = [int(one) for one in version.split(".")]
    said = {"version": numbers, "prefix": "p", "base_prefix": "p", "platform": "l", "abi": "a", "packages": []}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\n" if runs else "#!/bin/sh\necho not found >&2\nexit 127\n")
    path.chmod(0o755)
    return path


async def test_the_newest_patch_is_found_behind_a_shim_that_fails(tmp_path: Path) -> None:
    versions, shims = tmp_path / ".pyenv/versions", tmp_path / ".pyenv/shims"
    make_python(versions / "3.99.9/bin/python3.99", "3.99.9")
    newest = make_python(versions / "3.99.10/bin/python3.99", "3.99.10")
    make_python(versions / "3.99.11/bin/python3.99", "3.98.0")  # it is not what its folder says
    make_python(versions / "3.99.12/bin/python3.99", "3.99.12", runs=False)
    make_python(shims / "python3.99", "3.99.13", runs=False)
    managed = make_python(tmp_path / ".local/share/uv/python/cpython-3.97.1/bin/python3.97", "3.97.1")
    on_path = make_python(tmp_path / "bin/python3", "3.96.2")
    environ = {"HOME": str(tmp_path), "PATH": f"{shims}:{tmp_path / 'bin'}:/usr/bin:/bin"}
    environments = UvEnvironments(tmp_path / "environments", environ=environ)
    assert await environments.prepare(None, "3.99", ignore) == newest
    assert await environments.prepare(None, "3.99.9", ignore) == versions / "3.99.9/bin/python3.99"
    assert await environments.prepare(None, "3.97", ignore) == managed
    assert await environments.prepare(None, "3.96", ignore) == on_path
    with pytest.raises(
        Unproven, match=r"^Python 3\.95 is not installed on this server; there are 3\.99\.10 "
    ) as caught:
        await environments.prepare(None, "3.95", ignore)
    assert "\n" not in caught.value.message
    assert f'python = "{newest}"' in caught.value.details["remedy"]
    assert caught.value.details["remedy"] not in caught.value.message
    assert await environments.prepare(None, str(newest), ignore) == newest


async def test_what_is_no_python_is_refused(environments: UvEnvironments, tmp_path: Path) -> None:
    for text, word in (
        ("#!/bin/sh\necho hello\n", "no Python that runs here"),
        ("#!/bin/sh\nexit 3\n", "ended with 3"),
        (
            """#!/bin/sh\necho '{"version": [3, 8, 1], "prefix": "", "base_prefix": ""}'\n""",
            "older than 3.9",
        ),
    ):
        fake = tmp_path / "python"
        fake.write_text(text)
        fake.chmod(0o755)
        with pytest.raises(Unproven, match=word):
            await environments.prepare(None, str(fake), ignore)


async def test_the_server_decides_where_a_package_names_no_interpreter(tmp_path: Path) -> None:
    environments = UvEnvironments(tmp_path, sys.executable, environ=OFFLINE)
    assert await environments.prepare(None, None, ignore) == Path(sys.executable)
    assert await environments.prepare(None, BASE, ignore) == Path(BASE)


async def test_a_build_over_its_time_is_killed_with_all_its_processes(package: Path, tmp_path: Path) -> None:
    """A source distribution whose build hangs in a grandchild of the installer."""
    pid_file = tmp_path / "pid"
    hanging = package / "hanging"
    hanging.mkdir()
    (hanging / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    (hanging / "backend.py").write_text(
        f"import os, signal\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\nsignal.pause()\n"
    )
    environments = UvEnvironments(tmp_path / "environments", environ=OFFLINE)
    task = asyncio.create_task(environments.prepare(require(package, "./hanging\n"), None, ignore))
    while not (pid_file.exists() and pid_file.read_text()):  # noqa: ASYNC110  # another process writes it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends(int(pid_file.read_text()), within_seconds=10)  # the kernel ends what was killed in its own time

    impatient = UvEnvironments(tmp_path / "environments", environ=OFFLINE, build_seconds_max=0.001)
    with pytest.raises(Unproven, match=r"not built within 0\.001 seconds"):
        await impatient.prepare(require(package, "./hanging\n"), None, ignore)


def ends(pid: int, within_seconds: float) -> bool:
    """Whether a process has ended by then; the kernel tells it, also of one that nobody has reaped yet."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return select.select([descriptor], [], [], within_seconds)[0] == [descriptor]
    finally:
        os.close(descriptor)


async def test_an_installer_sees_no_secrets_of_the_server(tmp_path: Path) -> None:
    server = {
        "PATH": os.environ["PATH"],
        "HOME": "/home",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "SEATRIAL_API_KEY": "secret",
        "PYTHONPATH": "/elsewhere",
        "PIP_TARGET": "/elsewhere",
        "UV_PUBLISH_TOKEN": "secret",
        "https_proxy": "http://proxy",
        "PIP_INDEX_URL": "https://mine/simple",
        "PIP_FIND_LINKS": "/a /b",
        "UV_INDEX_MINE_PASSWORD": "for the index",
    }
    lines: list[str] = []
    await run_installer(["env"], installer_environ(server), tmp_path, lines.append)
    seen = dict(line.split("=", 1) for line in lines)
    assert "secret" not in seen.values()
    assert not {"PYTHONPATH", "PIP_TARGET"} & set(seen)
    assert seen["https_proxy"] == "http://proxy"
    assert seen["UV_DEFAULT_INDEX"] == seen["PIP_INDEX_URL"] == "https://mine/simple"
    assert seen["UV_FIND_LINKS"] == "/a,/b"
    assert seen["UV_INDEX_MINE_PASSWORD"] == "for the index"
    assert seen["PYTHONNOUSERSITE"] == "1"


async def test_lines_of_an_installer_come_whole(tmp_path: Path) -> None:
    lines: list[str] = []
    script = (
        "import sys; sys.stdout.write('one\\rtwo\\n\\nthr'); sys.stdout.flush(); sys.stderr.write('ee'); sys.exit(4)"
    )
    with pytest.raises(InstallerFailed) as caught:
        await run_installer([sys.executable, "-u", "-c", script], {}, tmp_path, lines.append)
    assert lines == caught.value.lines == ["one", "two", "three"]
    assert caught.value.code == 4


def test_a_requirements_file_as_what_it_asks_for(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.txt").write_text("-c b.txt\nfoo[x]>=1 ; python_version < '4'\n")
    (tmp_path / "more" / "b.txt").write_text("bar==2\n")
    (tmp_path / "w.whl").write_bytes(b"wheel")
    sha256 = hashlib.sha256(b"wheel").hexdigest()
    text = "--index-url https://x/simple  # ours\nbaz \\\n  ==3\n-r more/a.txt\n./w.whl\nw @ file:w.whl\nq @ https://h/q#egg=q\n"
    lines = wanted_lines(require(tmp_path, text))
    assert lines == [
        "--index-url https://x/simple",
        "baz ==3",
        "-c bar==2",
        "foo[x]>=1 ; python_version < '4'",
        f"./w.whl sha256:{sha256}",
        "w @ file:w.whl",
        "q @ https://h/q#egg=q",
    ]
    assert asks_for_something(lines)
    assert not asks_for_something(["--no-index", "-c bar==2", "-f wheels"])
    assert asks_for_something(["-e ."])


@pytest.mark.parametrize("text", ["-r missing.txt\n", "-r requirements.txt\n"])
def test_requirements_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unproven) as caught:
        wanted_lines(require(tmp_path, text))
    assert caught.value.error_type == "environment"


# ---------------------------------------------------------------- what is known before anything is built


async def test_requirements_are_resolved_and_nothing_is_installed(tmp_path: Path) -> None:
    make_wheel(tmp_path / "package" / "wheels", "greeting", needs="answer>=1")
    make_wheel(tmp_path / "package" / "wheels", "answer", "1.5")
    requirements = require(tmp_path / "package", "--find-links wheels\ngreeting==1.0\n")
    found = await resolve(requirements, None, OFFLINE, 60)
    assert (found.distributions, found.conflict, found.unreachable) == ({"greeting", "answer"}, None, None)


@pytest.mark.parametrize(
    ("lines", "words"),
    [("greeting==1.0\nanswer==1.5\n", ("greeting", "answer")), ("greting==1.0\n", ("greting",))],
)
async def test_what_cannot_be_met_is_explained(tmp_path: Path, lines: str, words: tuple[str, ...]) -> None:
    make_wheel(tmp_path / "package" / "wheels", "greeting", needs="answer>=2")
    make_wheel(tmp_path / "package" / "wheels", "answer", "1.5")
    found = await resolve(require(tmp_path / "package", "--find-links wheels\n" + lines), None, OFFLINE, 60)
    assert found.distributions is None
    assert found.conflict is not None
    assert all(word in found.conflict for word in words)


async def test_without_an_index_nothing_is_said_of_the_requirements(tmp_path: Path) -> None:
    requirements = require(tmp_path / "package", "numpy==1.0\n")
    found = await resolve(requirements, None, OFFLINE, 60)
    assert (found.conflict, found.unreachable) == (None, "the settings allow no index")
    nowhere = {**OFFLINE, "PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    found = await resolve(requirements, None, nowhere, 60)
    assert found.conflict is None
    assert found.unreachable


async def test_a_survey_knows_what_an_environment_will_see(environments: UvEnvironments, tmp_path: Path) -> None:
    bare = await environments.survey(None, None)
    assert bare.python == sys.version_info[:3]
    assert {"json", "sys", "tomllib"} <= bare.stdlib
    assert bare.modules is not None
    assert not bare.modules & bare.stdlib
    isolated = await environments.survey(require(tmp_path / "package", "numpy==1.0\n"), None)
    assert isolated.modules == frozenset()
    with pytest.raises(Unproven):
        await environments.survey(None, "2.7")


async def test_a_python_is_asked_again_only_when_something_has_changed_where_it_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def counting(command: list[str], environ: Mapping[str, str]) -> tuple[int | None, str]:
        asked.append(command[0])
        return await short_answer(command, environ)

    monkeypatch.setattr(answers, "short_answer", counting)
    python = tmp_path / "venv" / "bin" / "python"
    venv = [find_uv_bin(), "venv", "-q", "--no-project", "--python", BASE, tmp_path / "venv"]
    await asyncio.to_thread(subprocess.run, venv, check=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("*/site-packages")
    for _ in range(2):
        assert "extra" not in (await contents_of(python, OFFLINE))["environment"]["distributions"]
    assert len(asked) == 1
    (packages / "extra-1.dist-info").mkdir()
    (packages / "extra-1.dist-info" / "METADATA").write_text("Name: extra\nVersion: 1\n")
    assert (await contents_of(python, OFFLINE))["environment"]["distributions"]["extra"] == "1"
    (tmp_path / "more").mkdir()
    (packages / "more.pth").write_text(f"{tmp_path / 'more'}\n")
    assert await answers.answer_of(python, "import sys; print(sys.path[-1])", OFFLINE) == (0, str(tmp_path / "more"))
    assert len(asked) == 3
    shim = tmp_path / "shim"
    shim.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    shim.chmod(0o755)
    for _ in range(2):
        assert await answers.answer_of(shim, "print(7)", OFFLINE) == (0, "7")
    assert len(asked) == 5
    assert await answers.answer_of(Path("/bin/true"), "", OFFLINE) == (0, "")
