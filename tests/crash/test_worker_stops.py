"""Work at hand is stopped: the handler is asked, if it listens; then its process is ended, with all that it started."""

import asyncio
import time
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import look_at
from seatrial.domain.work import HandlerFailed, Withdrawn, WorkerDied, WorkTimedOut

LISTENS = """
import os, subprocess, sys, threading, time

class Stopped(Exception):
    pass

class Handler:
    def __init__(self, context):
        self.asked = []

    def look(self, context, n=0, leave="None"):
        context.cancelled  # the first look is what tells the server that it listens
        print("looking", flush=True)
        while not context.cancelled:
            time.sleep(0.005)
        eval(leave, globals())
        raise Stopped(n)

    def never(self, context):
        context.cancelled
        print("deaf", flush=True)
        while True:
            pass

    def plain(self, context):
        return [context.cancelled, os.getpid()]

    def threads(self):
        return [one.name for one in threading.enumerate()]
"""

HOOK = """
import threading

class Handler:
    def __init__(self):
        self.told = threading.Event()
        self.ids = []

    def cancel(self, job_id):
        self.ids.append(job_id)
        self.told.set()
        raise RuntimeError("and more")

    def run(self):
        print("waiting", flush=True)
        self.told.wait()
        return "stopped"

    def asked(self):
        return self.ids
"""

DEAF = """
import os, signal, subprocess, sys, threading, time

class Handler:
    def run(self, code="None", ignore=False):
        if ignore:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        exec(code, globals())
        print("running", flush=True)
        threading.Event().wait()
"""

TASKS = ("look", "never", "plain", "threads")


async def at_work(yard: Any, worker: Any, said: str, **more: Any) -> tuple[Any, asyncio.Task[Any]]:
    work = yard.work(**more)
    running = asyncio.create_task(worker.run(work))
    await yard.logs.until(lambda text: text == said)
    return work, running


async def test_a_handler_that_looks_is_asked_and_keeps_its_process(yard: Any) -> None:
    worker = await yard.python(LISTENS, TASKS)
    work, running = await at_work(yard, worker, "looking", task="look", fields={"n": 7})
    behind = asyncio.create_task(yard.run(worker, task="plain"))
    await asyncio.sleep(0)
    await worker.end(work.token)
    with pytest.raises(HandlerFailed, match="7"):
        await running
    with pytest.raises(Withdrawn):
        await behind
    assert await worker.is_over(work.token)
    assert (await yard.run(worker, task="plain")).body == b"[false, %d]" % worker.pid
    assert b"seatrial" not in (await yard.run(worker, task="threads")).body, "no thread for those who only look"


async def test_one_that_listens_and_does_not_stop_is_killed_after_its_grace(yard: Any) -> None:
    worker = await yard.python(LISTENS, TASKS, cancel_grace_seconds=0.3)
    work, running = await at_work(yard, worker, "deaf", task="never")
    began = time.monotonic()
    await worker.end(work.token)
    assert time.monotonic() - began > 0.3
    assert look_at(worker.pid) is None
    with pytest.raises(WorkerDied) as died:
        await running
    assert died.value.by_us


async def test_one_that_does_not_listen_is_not_waited_for(yard: Any) -> None:
    worker = await yard.python(DEAF, cancel_grace_seconds=600)
    work, running = await at_work(yard, worker, "running")
    async with asyncio.timeout(4):  # less than the grace of SIGTERM
        await worker.end(work.token)
    assert look_at(worker.pid) is None
    with pytest.raises(WorkerDied):
        await running


async def test_a_hook_is_called_with_the_job(yard: Any) -> None:
    worker = await yard.python(HOOK, ("run", "asked"), cancel_grace_seconds=20)
    work, running = await at_work(yard, worker, "waiting", task="run")
    await worker.end(work.token)
    assert (await running).body == b"stopped"
    assert (await yard.run(worker, task="asked")).body == f'["{work.job_id}"]'.encode()
    await yard.logs.until(lambda text: text == f"cancel('{work.job_id}') raised RuntimeError: and more")


async def test_a_method_called_cancel_that_is_something_else(yard: Any) -> None:
    worker = await yard.python("class Handler:\n    def cancel(self): pass\n    def run(self): return 1")
    await yard.logs.until(lambda text: text.startswith("Handler.cancel does not take a job's id alone"))
    worker = await yard.python("class Handler:\n    def cancel(self): return 'a task'", tasks=("cancel",))
    assert (await yard.run(worker)).body == b"a task"


async def test_sagemaker_handlers_listen_through_the_context(yard: Any) -> None:
    worker = await yard.sagemaker("""
        import time
        def model_fn(model_dir):
            return None
        def predict_fn(data, model, context):
            context.cancelled
            print("looking", flush=True)
            while not context.cancelled:
                time.sleep(0.005)
            return {"late": True}
        """)
    work, running = await at_work(yard, worker, "looking", body=b"{}")
    await worker.end(work.token)
    assert (await running).body == b'{"late": true}'
    assert look_at(worker.pid) is not None


@pytest.mark.parametrize("task", ["look", "never"])
async def test_a_timeout_asks_as_well(yard: Any, task: str) -> None:
    worker = await yard.python(LISTENS, TASKS, cancel_grace_seconds=0.3)
    with pytest.raises(WorkTimedOut) as late:
        await yard.run(worker, task=task, timeout_ms=300)
    assert late.value.process_gone == (task == "never")
    assert (look_at(worker.pid) is None) == (task == "never")
    if task == "look":
        assert (await yard.run(worker, task="plain")).body == b"[false, %d]" % worker.pid


@pytest.mark.parametrize(
    "leave",
    [
        "subprocess.Popen(['sleep', '1000'])",
        "subprocess.Popen(['sleep', '1000'], start_new_session=True)",
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
    ],
)
async def test_a_timeout_whose_handler_left_something_behind_ends_the_process(yard: Any, leave: str) -> None:
    worker = await yard.python(LISTENS, TASKS, cancel_grace_seconds=20)
    with pytest.raises(WorkTimedOut) as late:
        await yard.run(worker, task="look", timeout_ms=300, fields={"leave": leave})
    assert late.value.process_gone
    assert look_at(worker.pid) is None


SPAWN = "print('pids', *PIDS, flush=True)"
TREES = {
    "setsid and two forks": """
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.write(w, str(os.getpid()).encode())
        time.sleep(1000)
    os._exit(0)
os.wait()
PIDS = [os.read(r, 20).decode()]
""",
    "a chain of sessions whose heads have left": """
r, w = os.pipe()
for depth in range(4):
    if os.fork():
        if depth:
            os._exit(0)
        break
    os.setsid()
else:
    os.write(w, str(os.getpid()).encode())
    time.sleep(1000)
os.wait()
PIDS = [os.read(r, 20).decode()]
""",
    "a program with another environment that ignores signals": """
code = "import os, signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; "
code += "print(os.getpid(), flush=True); time.sleep(1000)"
child = subprocess.Popen([sys.executable, "-c", code], env={}, start_new_session=True, stdout=subprocess.PIPE)
PIDS = [child.stdout.readline().decode().strip()]
""",
    "a stopped process": """
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
child.send_signal(signal.SIGSTOP)
PIDS = [child.pid]
""",
    "a hundred": """
PIDS = [subprocess.Popen(["sleep", "1000"], start_new_session=n % 2 > 0).pid for n in range(100)]
""",
}


@pytest.mark.parametrize("tree", TREES)
async def test_every_descendant_is_seen_gone(yard: Any, tree: str) -> None:
    worker = await yard.python(DEAF)
    _, running = await at_work(yard, worker, "running", fields={"code": TREES[tree] + SPAWN, "ignore": True})
    said = await yard.logs.until(lambda text: text.startswith("pids "))
    pids = [int(pid) for pid in said.text.split()[1:]]
    assert all(look_at(pid) for pid in pids)
    await worker.stop(0.1)
    assert [pid for pid in pids if look_at(pid) is not None] == []
    assert look_at(worker.pid) is None
    with pytest.raises(WorkerDied):
        await running


STORMS = {
    "each has children that end and are followed by others": """
for _ in range(6):
    os.fork()
while True:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
""",
    "each leaves its place to a child, over and over": """
for _ in range(4):
    os.fork()
while True:
    if os.fork():
        os._exit(0)
""",
}


@pytest.mark.parametrize("storm", STORMS)
async def test_processes_that_multiply_while_they_are_killed(yard: Any, storm: str) -> None:
    """They ignore SIGTERM, and there are never more than 130 of them."""
    worker = await yard.python(DEAF)
    code = "if os.fork() == 0:\n" + "\n".join("    " + line for line in STORMS[storm].splitlines())
    _, running = await at_work(yard, worker, "running", fields={"code": code, "ignore": True})
    async with asyncio.timeout(60):
        await worker.stop(0)
    assert worker._family.members() == []
    with pytest.raises(WorkerDied):
        await running
