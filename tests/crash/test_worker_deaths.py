"""What happens to a worker that is misused, and to everything that it started."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import look_at, wait_readable
from seatrial.domain.work import HandlerFailed, LoadFailed, Withdrawn, WorkerDied, WorkTimedOut
from seatrial.worker.causes import EXITED, HANDLER

DO = """
import ctypes, os, signal, subprocess, sys, time

DAEMON = '''
import os, time
told, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("daemon", os.getpid(), flush=True)
        os.write(tell, b".")  # nobody ends before this one has said who it is
        time.sleep(1000)
    os._exit(0)
os.wait()
os.read(told, 1)
'''

class OwnError(Exception):
    error_type = "too_dark"
    field = "image"
    valid = "a picture with light in it"
    details = {"mean": 3, "odd": object}

class Handler:
    def run(self, code):
        return eval(code, globals())

def fail(error):
    raise error

def daemon(environment=None):
    subprocess.run([sys.executable, "-c", DAEMON], env=environment, check=True)

def loop():
    print("looping", flush=True)
    while True:
        pass
"""


# A server that is killed while its worker has started a daemon.
SERVER = """
import asyncio, sys, time
from pathlib import Path
from seatrial.adapters.processes.pool import ProcessPool
from seatrial.domain.work import Work, WorkerSpec

class Clock:
    def now_ms(self): return time.time_ns() // 1_000_000
    def monotonic_ms(self): return time.monotonic_ns() // 1_000_000

class Logs:
    def append(self, lines):
        for line in lines:
            if line.text.startswith("daemon "):
                print(worker.pid, line.text.split()[1], flush=True)

async def main():
    global worker
    data = Path(sys.argv[1])
    pool = ProcessPool(Logs(), data, Clock())
    worker = await pool.start(WorkerSpec(
        "earlier", "1", "python", Path(sys.argv[2]), Path(sys.executable), data / "earlier", {},
        handler="model:Handler", task_methods={"run": "run"},
    ))
    await worker.load()
    await worker.run(Work("t", "j", 60_000, fields={"code": "daemon()"}))
    await worker.wait_gone()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("code", "error_type", "message"),
    [
        ("fail(ValueError('Unknown task: initialization'))", "handler_error", "Unknown task: initialization"),
        ("fail(KeyboardInterrupt())", "handler_error", "KeyboardInterrupt"),
        ("sys.exit(3)", "handler_exited", "the handler called sys.exit(3)"),
        ("fail(OwnError('too dark to see'))", "too_dark", "too dark to see"),
        ("fail(BaseException('anything'))", "handler_error", "anything"),
    ],
)
async def test_whatever_is_raised_fails_the_job_and_the_worker_lives_on(
    yard: Any, code: str, error_type: str, message: str
) -> None:
    worker = await yard.python(DO)
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, fields={"code": code})
    assert (failed.value.failure.error_type, failed.value.failure.message) == (error_type, message)
    remedies = {"too_dark": None, "handler_exited": EXITED.remedy, "handler_error": HANDLER.remedy}
    assert failed.value.failure.details.get("remedy") == remedies[error_type], "its own says what would be valid"
    assert (await yard.run(worker, fields={"code": "os.getpid()"})).body == str(worker.pid).encode()


async def test_details_of_any_size_and_kind_arrive_bounded(yard: Any) -> None:
    worker = await yard.python(DO)
    many = "{'k' * 999: 'v' * 2_000_000, 'nan': float('nan'), **{str(n): 'x' * 900 for n in range(999)}}"
    code = f"setattr(OwnError, 'details', {many})"
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, fields={"code": f"{code} or fail(OwnError('\\udc80' + 'm' * 9_000_000))"})
    failure = failed.value.failure
    assert failure.message == "?" + "m" * 3_999
    assert len(repr(failure.details)) < 100_000
    assert failure.details["valid"] == "a picture with light in it"
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, fields={"code": "setattr(OwnError, 'valid', None) or fail(OwnError('m'))"})
    assert failed.value.failure.details["remedy"] == "Mend the handler, or the input if it is at fault."
    assert (await yard.run(worker, fields={"code": "1"})).body == b"1"


async def test_a_failure_tells_where_and_what(yard: Any) -> None:
    worker = await yard.python(DO)
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, fields={"code": "fail(OwnError('dark'))"})
    details = failed.value.failure.details
    assert details["exception"] == "model.OwnError"
    assert details["field"] == "image"
    assert details["valid"] == "a picture with light in it"
    assert details["mean"] == 3
    assert details["odd"] == repr(object)
    assert "raise error" in details["traceback"]
    assert "child.py" not in details["traceback"]


@pytest.mark.parametrize(
    ("code", "key", "value", "said", "remedy"),
    [
        (
            "ctypes.string_at(0)",
            "signal",
            "SIGSEGV",
            "killed by SIGSEGV",
            "ended with SIGSEGV; look in `seatrial logs t",
        ),
        ("os._exit(7)", "exit_code", 7, "exit code 7", "ended with exit code 7; see `seatrial logs tested`"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal", "SIGKILL", "out of memory", "SIGKILL; give it more memory"),
    ],
)
async def test_a_death_is_told_to_everyone_who_waits(
    yard: Any, code: str, key: str, value: object, said: str, remedy: str
) -> None:
    worker = await yard.python(DO)
    first, second = yard.work(fields={"code": "print('bye', file=sys.stderr) or " + code}), yard.work()
    outcomes = await asyncio.gather(worker.run(first), worker.run(second), return_exceptions=True)
    assert all(isinstance(one, WorkerDied) for one in outcomes)
    assert [(one.begun, one.by_us) for one in outcomes] == [(True, False), (False, False)]
    assert worker.begun(first.token)
    assert not worker.begun(second.token)
    failure = outcomes[0].failure
    assert failure.error_type == "worker_crashed"
    assert failure.details[key] == value
    assert said in failure.message
    assert "bye" in failure.details["stderr"]
    assert remedy in failure.details["remedy"]
    with pytest.raises(WorkerDied):
        await yard.run(worker)
    await worker.wait_gone()
    assert look_at(worker.pid) is None


async def test_an_endless_loop_is_timed_out_and_gone(yard: Any) -> None:
    worker = await yard.python(DO)
    looping = asyncio.create_task(yard.run(worker, timeout_ms=300, fields={"code": "loop()"}))
    behind = asyncio.create_task(yard.run(worker, fields={"code": "1"}))
    with pytest.raises(WorkTimedOut):
        await looping
    assert look_at(worker.pid) is None
    with pytest.raises(Withdrawn):
        await behind


async def test_time_in_the_queue_does_not_count(yard: Any) -> None:
    worker = await yard.python(DO)
    slow = yard.run(worker, fields={"code": "time.sleep(0.6) or 1"})
    quick = yard.run(worker, timeout_ms=400, fields={"code": "2"})
    assert [one.body for one in await asyncio.gather(slow, quick)] == [b"1", b"2"]


async def test_a_handler_that_ignores_sigterm_is_killed_after_the_grace(yard: Any) -> None:
    worker = await yard.python(DO)
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN) and None or loop()"
    looping = asyncio.create_task(yard.run(worker, fields={"code": code}))
    await yard.logs.until(lambda text: text == "looping")
    await worker.stop(0.05)
    with pytest.raises(WorkerDied) as died:
        await looping
    assert died.value.by_us
    assert look_at(worker.pid) is None


@pytest.mark.parametrize("environment", ["None", "{}"])
async def test_a_daemon_that_left_the_group_goes_too(yard: Any, environment: str) -> None:
    if environment == "{}" and yard.pool.isolation():
        pytest.skip(f"without its environment it is only known by its mount namespace: {yard.pool.isolation()}")
    worker = await yard.python(DO)
    await yard.run(worker, fields={"code": f"daemon({environment})"})
    said = await yard.logs.until(lambda text: text.startswith("daemon "))
    daemon = int(said.text.split()[1])
    alive = look_at(daemon)
    assert alive is not None
    assert alive.session not in (worker.pid, os.getsid(0))
    await worker.stop(5)
    assert look_at(daemon) is None


async def test_a_daemon_goes_with_a_worker_that_died(yard: Any) -> None:
    worker = await yard.python(DO)
    with pytest.raises(WorkerDied):
        await yard.run(worker, fields={"code": "daemon() or os._exit(1)"})
    said = await yard.logs.until(lambda text: text.startswith("daemon "))
    assert look_at(int(said.text.split()[1])) is None


async def test_load_timeout(yard: Any) -> None:
    source = "import sys, time\nprint('fetching', file=sys.stderr)\ntime.sleep(1000)"
    worker = await yard.start(yard.spec("sagemaker", {"code/inference.py": source}, load_timeout_seconds=1.0))
    with pytest.raises(LoadFailed) as failed:
        await worker.load()
    assert failed.value.failure.error_type == "load_timeout"
    details = failed.value.failure.details
    assert details["remedy"] == "Raise load_timeout_seconds (now 1 s) in [worker], or load less."
    assert details["traceback"] == "fetching"
    assert look_at(worker.pid) is None


async def test_a_load_failure_has_the_traceback_and_no_frames_of_ours(yard: Any) -> None:
    with pytest.raises(LoadFailed) as failed:
        await yard.sagemaker("def model_fn(model_dir):\n    return {}['weights']\ndef predict_fn(d, m): pass")
    assert failed.value.failure.message == "KeyError: 'weights'"
    assert "return {}['weights']" in failed.value.failure.details["traceback"]
    assert "sagemaker.py" not in failed.value.failure.details["traceback"]
    remedy = "Mend the handler's loading code; `seatrial logs tested` has the whole output."
    assert failed.value.failure.details["remedy"] == remedy


async def test_a_death_while_loading(yard: Any) -> None:
    with pytest.raises(LoadFailed, match="killed by SIGSEGV, while it loaded") as failed:
        await yard.sagemaker("import os, signal, sys\nprint('bye', file=sys.stderr)\nos.kill(os.getpid(), 11)")
    details = failed.value.failure.details
    assert "The process ended with SIGSEGV; " in details["remedy"]
    last = details["traceback"].splitlines()[-4:]
    assert "bye" in last
    assert 'code/inference.py", line 3 in <module>' in last[-1]


async def test_what_a_death_while_loading_says_is_bounded_and_redacted(yard: Any) -> None:
    source = "import os, sys\nfor n in range(99):\n    print(n, 'hush-hush', 'x' * 999, file=sys.stderr)\nos._exit(3)"
    with pytest.raises(LoadFailed, match="exit code 3, while it loaded") as failed:
        await yard.sagemaker(source, secrets={"TOKEN": "hush-hush"})
    details = failed.value.failure.details
    assert len(details["traceback"]) <= 8_000
    assert "\n98 [redacted TOKEN] x" in details["traceback"]
    assert "The process ended with exit code 3; " in details["remedy"]


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        ({"model.py": "import stygig"}, "Add stygig to requirements.txt or, if it is your own, to the package, then"),
        ({"model.py": "import own.part", "own/__init__.py": ""}, "Add own.part to the package, then deploy again."),
        ({"model.py": "import email.stygig"}, "Add email.stygig to requirements.txt, then deploy again."),
        (
            {"model.py": "import importlib\nimportlib.import_module('own.part')", "own/x.py": ""},
            "Add own.part to the package, then deploy again.",
        ),
        ({"model.py": "from json import stygig"}, "Mend the import, or require a release of the library that has"),
        ({"model.py": "x = 1"}, "Mend the package as the message says, then deploy again."),
    ],
)
async def test_an_import_that_fails_names_what_to_add(yard: Any, files: dict[str, str], remedy: str) -> None:
    spec = yard.spec("python", files, handler="model:Handler", task_methods={"run": "run"})
    worker = await yard.start(spec)
    with pytest.raises(LoadFailed) as failed:
        await worker.load()
    assert failed.value.failure.details["remedy"].startswith(remedy)


async def test_what_a_library_lacks_belongs_into_the_requirements(yard: Any) -> None:
    library = yard.shared / "library"
    library.mkdir()
    (library / "needy.py").write_text("import stygig")
    with pytest.raises(LoadFailed) as failed:
        await yard.python(f"import sys\nsys.path.append({str(library)!r})\nimport needy")
    assert failed.value.failure.details["remedy"] == "Add stygig to requirements.txt, then deploy again."


async def test_an_interpreter_that_is_not_there(yard: Any) -> None:
    with pytest.raises(LoadFailed) as failed:
        await yard.sagemaker("", python=Path("/nowhere/python"))
    assert "No such file or directory: '/nowhere/python'" in failed.value.failure.message


async def test_rubbish_on_the_socket_ends_the_worker(yard: Any) -> None:
    worker = await yard.python(DO)
    code = "[os.write(fd, b'rubbish!' * 9) for fd in range(200, 220) if os.path.exists(f'/proc/self/fd/{fd}')]"
    with pytest.raises(WorkerDied, match="broke the pipe protocol") as died:
        await yard.run(worker, fields={"code": code})
    assert not died.value.by_us
    assert "every file descriptor that it did not open" in died.value.failure.details["remedy"]


async def test_the_socket_is_not_inherited(yard: Any) -> None:
    worker = await yard.python(DO)
    code = "subprocess.run(['ls', '-l', '/proc/self/fd'], capture_output=True, text=True, close_fds=False).stdout"
    assert b"socket:" not in (await yard.run(worker, fields={"code": code})).body


def _start_server(data: Path, package: Path) -> tuple[subprocess.Popen[str], int, int]:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(data), str(package)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    give_up = threading.Timer(60, server.kill)  # which ends its output
    give_up.start()
    with server.stdout:
        said = server.stdout.readline()
    give_up.cancel()
    assert said, "the server told of no daemon within 60 s"
    worker, daemon = map(int, said.split())
    return server, worker, daemon


async def test_a_worker_dies_with_its_server_and_orphans_are_found(yard: Any) -> None:
    package = yard.package({"model.py": DO})
    server, worker, daemon = await asyncio.to_thread(_start_server, yard.data, package)
    assert look_at(daemon) is not None
    descriptor = os.pidfd_open(worker)
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert await wait_readable(descriptor, 60), "the worker outlived its server"
    os.close(descriptor)
    mine = await yard.python(DO)
    assert await yard.pool.kill_orphans() >= 1
    left = look_at(daemon)
    assert left is None or left.is_dead  # whoever adopted it takes note of its end in time of their own
    assert (await yard.run(mine, fields={"code": "1"})).body == b"1"
