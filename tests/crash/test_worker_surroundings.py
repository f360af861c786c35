"""What a worker process sees of the machine: files at fixed paths, weights, environment."""

import asyncio
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes.launch import WORKER_FOLDER, jail_command
from seatrial.adapters.processes.pool import ProcessPool
from seatrial.adapters.system.clock import SystemClock

LOOK = """
import os, pathlib, subprocess, tempfile

class Handler:
    def run(self, code):
        return eval(code, globals())

def refused(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    return "written"
"""


@pytest.fixture
def isolated(yard: Any) -> Any:
    if yard.pool.isolation() is not None:
        pytest.skip(f"no private view of the file system here: {yard.pool.isolation()}")
    return yard


def _which_exist(*paths: str) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _names_in(folder: str) -> list[str]:
    return [one.name for one in Path(folder).iterdir()]


async def ask(yard: Any, worker: Any, code: str) -> Any:
    answer = await yard.run(worker, fields={"code": code})
    return json.loads(answer.body) if answer.media_type == "application/json" else answer.body.decode()


async def test_fixed_paths_show_the_package(isolated: Any) -> None:
    before = _which_exist("/opt/ml", "/var/task")
    source = """
        import os
        def model_fn(model_dir):
            return {path: sorted(os.listdir(path)) for path in ("/opt/ml/model", "/opt/ml/code", "/var/task")}
        def transform_fn(model, body, content_type, accept):
            return {"seen": model, "dir": os.getcwd(), "base": os.environ["SAGEMAKER_BASE_DIR"]}
        """
    spec = isolated.spec("sagemaker", {"code/inference.py": source, "weights.bin": "w"})
    worker = await isolated.start(spec)
    await worker.load()
    told = json.loads((await isolated.run(worker)).body)
    root = ["code", "weights.bin"]
    assert told["seen"] == {"/opt/ml/model": root, "/opt/ml/code": ["inference.py"], "/var/task": root}
    assert (told["dir"], told["base"]) == ("/opt/ml/model", "/opt/ml")
    assert _which_exist("/opt/ml", "/var/task") == before


async def test_what_the_host_has_beside_the_fixed_paths_stays_visible(isolated: Any) -> None:
    worker = await isolated.python(LOOK)
    for folder in ("/opt", "/var"):
        seen = await ask(isolated, worker, f"sorted(os.listdir({folder!r}))")
        assert set(_names_in(folder)) <= set(seen)


async def test_tmp_is_private_and_folders_made_visible_are_not(isolated: Any, tmp_path: Path) -> None:
    worker = await isolated.python(LOOK)
    name = f"seatrial-{os.getpid()}"
    assert await ask(isolated, worker, f"refused('/tmp/{name}')") == "written"
    assert await ask(isolated, worker, "tempfile.gettempdir()") == "/tmp"
    assert not _which_exist(f"/tmp/{name}")
    assert await ask(isolated, worker, f"refused({str(isolated.shared / 'note')!r})") == "written"
    assert (isolated.shared / "note").read_text() == "x"
    await worker.stop(5)
    assert isolated.shared.exists()
    assert isolated.data.exists()


async def test_package_and_data_are_read_only_and_scratch_is_not(isolated: Any) -> None:
    worker = await isolated.python(LOOK)
    for path in ("/opt/ml/model/x", "/var/task/x", str(isolated.data / "x")):
        assert await ask(isolated, worker, f"refused({path!r})") == "Read-only file system"
    assert await ask(isolated, worker, "refused(os.path.expanduser('~/x'))") == "written"


async def test_of_the_data_folder_only_what_is_the_workers_own_is_seen(isolated: Any) -> None:
    data = isolated.data
    environment = data / "environments" / "one"
    await asyncio.to_thread(venv.create, environment, symlinks=True)
    kept = data / "weights" / "abc" / "content"
    kept.parent.mkdir(parents=True)
    kept.write_text("heavy")
    secrets = ["credentials.json", "seatrial.db", "logs.db", "blobs/aa/blob", "uploads/part", "environments/two/x"]
    for name in secrets:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("secret")
    [site] = environment.glob("lib/python*/site-packages")
    (site / "wide.pth").write_text(f"{data}\n{data / 'blobs'}\n")  # anything in an environment may write this
    other = isolated.package({"model.py": "other"})
    spec = isolated.spec(
        "python",
        {"model.py": LOOK},
        python=environment / "bin" / "python",
        weights={"heavy.bin": kept},
        handler="model:Handler",
        task_methods={"run": "run"},
    )
    worker = await isolated.start(spec)
    await worker.load()
    hidden = [str(data / name) for name in secrets] + [str(other)]
    own = [str(one) for one in (spec.package / "model.py", spec.scratch, environment / "pyvenv.cfg", kept)]
    assert await ask(isolated, worker, f"[p for p in {hidden + own} if os.path.exists(p)]") == own
    names = {"environments", "weights", spec.package.name, spec.scratch.name}
    assert set(await ask(isolated, worker, f"os.listdir({str(data)!r})")) == names
    assert await ask(isolated, worker, "__import__('sys').prefix") == str(environment)
    for path in (spec.package / "x", environment / "x", kept):
        assert await ask(isolated, worker, f"refused({str(path)!r})") == "Read-only file system"
    assert await ask(isolated, worker, f"refused({str(spec.scratch / 'x')!r})") == "written"


@pytest.mark.parametrize("way", ["/proc/{server}/root{path}", "/proc/{server}/cwd{up}{path}", "{up}{path}"])
async def test_nothing_leads_behind_what_is_hidden(isolated: Any, way: str) -> None:
    keys = isolated.data / "credentials.json"
    keys.write_text("secret")
    worker = await isolated.python(LOOK)
    path = way.format(server=os.getpid(), path=keys, up="/.." * 20)
    assert _which_exist(path) == [path]
    assert await ask(isolated, worker, f"os.access({path!r}, os.R_OK)") is False
    code = f"subprocess.run(['umount', {str(isolated.data)!r}], stderr=subprocess.DEVNULL).returncode"
    assert await ask(isolated, worker, code) != 0
    assert await ask(isolated, worker, f"os.path.exists({str(keys)!r})") is False


async def test_a_folder_of_the_data_folder_can_be_made_visible(isolated: Any) -> None:
    shared = isolated.data / "shared"
    shared.mkdir()
    isolated.pool = ProcessPool(isolated.logs, isolated.data, SystemClock(), [shared])
    worker = await isolated.python(LOOK)
    assert await ask(isolated, worker, f"refused({str(shared / 'note')!r})") == "written"
    assert (shared / "note").read_text() == "x"


WEIGHTS = {"model.bin": "one", "deep/er/folder": "many"}


def weights(yard: Any) -> dict[str, Path]:
    store = yard.folder / "weights"
    (store / "many").mkdir(parents=True)
    (store / "one").write_text("file of weights")
    (store / "many" / "part").write_text("part of weights")
    return {path: store / name for path, name in WEIGHTS.items()}


async def see_weights(yard: Any) -> None:
    files = {"model.py": LOOK, "deep/beside.txt": "stays"}
    given = weights(yard)
    spec = yard.spec("python", files, weights=given, handler="model:Handler", task_methods={"run": "run"})
    worker = await yard.start(spec)
    await worker.load()
    read = "[open(p).read() for p in ('model.bin', 'deep/er/folder/part', 'deep/beside.txt', 'model.py')]"
    assert await ask(yard, worker, read) == ["file of weights", "part of weights", "stays", LOOK]
    assert sorted(one.name for one in spec.package.iterdir()) == ["deep", "model.py"]


async def test_weights_lie_at_their_paths(isolated: Any) -> None:
    await see_weights(isolated)


async def test_weights_lie_at_their_paths_without_isolation(open_yard: Any) -> None:
    assert open_yard.pool.isolation() is not None
    await see_weights(open_yard)


async def test_without_isolation_handlers_still_learn_where_the_model_is(open_yard: Any) -> None:
    worker = await open_yard.sagemaker("""
        import os, tempfile
        def model_fn(model_dir):
            return model_dir
        def transform_fn(model, body, content_type, accept):
            program = os.environ["SAGEMAKER_PROGRAM"]
            where = os.path.join(os.environ["SAGEMAKER_BASE_DIR"], "model", "code", program)
            return [os.path.isfile(where), os.path.isfile(model + "/code/inference.py"), tempfile.gettempdir()]
        """)
    scratch = str(worker._scratch.folder)
    told = json.loads((await open_yard.run(worker)).body)
    assert told == [True, True, f"{scratch}/tmp"]


async def test_the_environment_is_what_the_spec_says(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVERS_OWN_KEY", "must not pass")
    worker = await yard.python(LOOK, env={"MODE": "fast"}, secrets={"TOKEN": "hush-hush"})
    seen = await ask(yard, worker, "dict(os.environ)")
    own = {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONUNBUFFERED", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE"}
    assert set(seen) == own | {"MODE", "TOKEN", "SEATRIAL_WORKER", "SEATRIAL_SERVER_ID", "LC_CTYPE"} - (
        {"LC_CTYPE"} - set(seen)
    )
    assert (seen["MODE"], seen["TOKEN"]) == ("fast", "hush-hush")


async def test_no_core_files_and_no_terminal(yard: Any) -> None:
    worker = await yard.python(LOOK)
    code = "[__import__('resource').getrlimit(4), os.readlink('/proc/self/fd/0'), os.getsid(0) == os.getpid()]"
    assert await ask(yard, worker, code) == [[0, 0], "/dev/null", True]


def test_a_fixed_path_whose_top_folder_the_host_does_not_have(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "here").write_text("yes")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "root").mkdir()
    top = f"/seatrial-{os.getpid()}"
    program = f"import os; print(open('{top}/a/b/here').read(), os.path.isdir('/usr'), os.path.exists('/proc/self'))"
    plan = {
        "server_pid": os.getpid(),
        "isolated": True,
        "own_network": False,
        "hidden": [],
        "covered": [],
        "written": [],
        "read_only": [str(package), sys.base_prefix],
        "writable": [str(tmp_path / "root")],
        "tmp": str(tmp_path / "tmp"),
        "root": str(tmp_path / "root"),
        "views": [[f"{top}/a/b", str(package)]],
        "run": [str(Path(sys.base_prefix, "bin", "python3")), "-c", program],
    }
    found = subprocess.run(jail_command(plan), capture_output=True, text=True)
    if "not permitted" in found.stderr:
        pytest.skip(f"no private view of the file system here: {found.stderr}")
    assert found.stdout == "yes True True\n", found.stderr
    assert not Path(top).exists()


def test_a_system_that_refuses_is_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    plan = {
        "server_pid": os.getpid(),
        "isolated": True,
        "own_network": False,
        "hidden": [],
        "covered": [],
        "written": [],
        "read_only": [],
        "writable": [],
        "tmp": str(tmp_path / "nowhere"),
        "root": "",
        "views": [],
        "run": ["/bin/true"],
    }
    found = subprocess.run(jail_command(plan), capture_output=True, text=True)
    assert found.returncode == 97
    assert "seatrial: cannot start" in found.stderr


def test_the_worker_room_needs_nothing_but_itself(tmp_path: Path) -> None:
    """Every module of the child side compiles and loads where nothing is installed."""
    modules = sorted(
        str(path.relative_to(WORKER_FOLDER.parent.parent).with_suffix("")).replace("/", ".")
        for path in WORKER_FOLDER.rglob("*.py")
        if path.name not in ("main.py", "__init__.py")
    )
    program = f"import sys; sys.path.insert(0, {str(WORKER_FOLDER.parent.parent)!r})\n"
    program += "".join(f"import {name}\n" for name in modules)
    found = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
