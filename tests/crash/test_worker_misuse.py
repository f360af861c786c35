"""What handlers do to their process: each has a word and a remedy of its own, and the next job does not notice."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import look_at
from seatrial.domain.jobs import JobState
from seatrial.domain.meanings import MEANINGS
from seatrial.domain.work import HandlerFailed, LoadFailed, WorkerDied

DO = """
import ctypes, os, resource, signal, subprocess, sys, tempfile, threading, time
kept = []

class Handler:
    def run(self, code):
        exec(code, globals())
        return os.getpid()

    def look(self):
        print("hello", flush=True)
        print("again", file=sys.stderr, flush=True)
        return os.getpid()
"""
TASKS = ("run", "look")
NO_ROOM_FOR_FILES = "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))"

LIVES_ON = {
    "an exception": ("1 / 0", "handler_error"),
    "sys.exit": ("sys.exit(3)", "handler_exited"),
    "quit": ("exit()", "handler_exited"),
    "memory beyond the address space": (
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, -1)); bytearray(1 << 31)",
        "out_of_memory",
    ),
    "a full disk": (NO_ROOM_FOR_FILES + "; open(tempfile.mktemp(), 'wb').write(bytes(9999))", "scratch_full"),
    "stdout closed": ("sys.stdout.close(); print('x')", "stream_closed"),
    "descriptor of stdout closed": ("os.close(1); print('x', flush=True)", "stream_closed"),
    "a pipe without a reader": ("r, w = os.pipe(); os.close(r); os.write(w, b'x')", "stream_closed"),
    "stdin closed": ("sys.stdin.close(); input()", "stream_closed"),
    "an error of the device's memory": (
        "raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB.')",
        "device_out_of_memory",
    ),
}


@pytest.mark.parametrize("misuse", LIVES_ON)
async def test_the_worker_lives_on(yard: Any, misuse: str) -> None:
    code, error_type = LIVES_ON[misuse]
    worker = await yard.python(DO, TASKS)
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, task="run", fields={"code": code})
    failure = failed.value.failure
    assert failure.error_type == error_type
    assert failure.details["remedy"] == MEANINGS[error_type].remedy
    work = yard.work(task="look")
    assert (await worker.run(work)).body == str(worker.pid).encode()
    assert sorted(yard.logs.texts(work.job_id)) == ["again", "hello"], "its output is its own again"


DIES = {
    "os._exit": ("os._exit(7)", "worker_crashed"),
    "a segfault": ("ctypes.string_at(0)", "worker_crashed"),
    "every descriptor closed": ("os.closerange(3, 1024)", "link_lost"),
    "every descriptor closed beside a thread that goes on": (
        "threading.Thread(target=lambda: time.sleep(600)).start() or os.closerange(3, 1024)",
        "link_lost",
    ),
    "rubbish to the server": (
        "[os.write(fd, b'rubbish!' * 9) for fd in range(200, 220) if os.path.exists(f'/proc/self/fd/{fd}')]",
        "link_broken",
    ),
    "more memory than it may have": ("kept.append(b'x' * 400_000_000); time.sleep(99)", "out_of_memory"),
    "a child with more memory than it may have": (
        "subprocess.run([sys.executable, '-c', 'import time; x = b\"x\" * 400_000_000; time.sleep(99)'])",
        "out_of_memory",
    ),
    "too many processes": (
        "[subprocess.Popen(['sleep', '99'], start_new_session=True) for _ in range(30)]; time.sleep(99)",
        "too_many_processes",
    ),
}


@pytest.mark.parametrize("misuse", DIES)
async def test_the_worker_dies_and_all_of_it(yard: Any, monkeypatch: pytest.MonkeyPatch, misuse: str) -> None:
    monkeypatch.setattr("seatrial.adapters.processes.worker.PROCESSES_PER_WORKER_MAX", 20)
    code, error_type = DIES[misuse]
    worker = await yard.python(DO, TASKS, memory_bytes_max=200_000_000)
    with pytest.raises(WorkerDied) as died:
        await yard.run(worker, task="run", fields={"code": code})
    assert (died.value.begun, died.value.by_us) == (True, False)
    assert died.value.failure.error_type == error_type
    assert died.value.failure.details["remedy"]
    await worker.wait_gone()
    assert look_at(worker.pid) is None
    assert worker._family.members() == []


async def test_memory_that_children_share_counts_once(yard: Any) -> None:
    worker = await yard.python(DO, TASKS, memory_bytes_max=200_000_000)
    code = "kept.append(b'x' * 100_000_000)\nfor _ in range(4):\n    if os.fork() == 0:\n        time.sleep(1)\n"
    code += "        os._exit(0)\ntime.sleep(0.8)"
    assert (await yard.run(worker, task="run", fields={"code": code})).body == str(worker.pid).encode()


async def test_too_much_memory_while_loading(yard: Any) -> None:
    source = "import time\nx = b'x' * 400_000_000\ntime.sleep(99)"
    spec = yard.spec("sagemaker", {"code/inference.py": source}, memory_bytes_max=200_000_000)
    worker = await yard.start(spec)
    with pytest.raises(LoadFailed, match="bytes of memory") as failed:
        await worker.load()
    assert "memory_bytes_max" in failed.value.failure.details["remedy"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("threading.Thread(target=time.sleep, args=(99,), name='lazy', daemon=True).start()", "threads behind"),
        ("time.sleep(0.002) or subprocess.Popen(['sleep', '99'], start_new_session=True)", "processes behind"),
    ],
)
async def test_what_a_job_leaves_behind_is_named_and_ends_with_the_worker(yard: Any, code: str, said: str) -> None:
    worker = await yard.python(DO, TASKS)
    await yard.run(worker, task="run", fields={"code": code})
    line = await yard.logs.until(lambda text: said in text)
    assert "lazy" in line.text or "(sleep)" in line.text
    assert (await yard.run(worker, task="look")).body == str(worker.pid).encode()
    await worker.stop(5)
    assert worker._family.members() == []


# ---------------------------------------------------------------------- memory of jobs


async def test_the_memory_of_each_job_is_measured(yard: Any) -> None:
    worker = await yard.python(DO, TASKS)
    plain = (await yard.run(worker, task="look")).memory
    passing = (await yard.run(worker, task="run", fields={"code": "len(b'x' * 100_000_000)"})).memory
    after = (await yard.run(worker, task="look")).memory
    keeping = (await yard.run(worker, task="run", fields={"code": "kept.append(b'x' * 50_000_000)"})).memory
    assert passing.peak_bytes > plain.peak_bytes + 90_000_000
    assert abs(passing.growth_bytes) < 20_000_000
    assert after.peak_bytes < passing.peak_bytes - 80_000_000, "its own, not the highest ever"
    assert 40_000_000 < keeping.growth_bytes < 70_000_000
    assert plain.device_peak_bytes is None
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, task="run", fields={"code": "kept.append(b'x' * 50_000_000); 1 / 0"})
    assert failed.value.memory.growth_bytes > 40_000_000


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("kept.append(b'x' * 60_000_000)", "memory_growth_bytes_max is 30000000"),
        ("raise RuntimeError('CUDA error: device-side assert triggered')", "its CUDA context is of no more use"),
    ],
)
async def test_a_worker_that_is_fit_for_no_more_is_replaced_after_its_job(yard: Any, code: str, why: str) -> None:
    worker = await yard.python(DO, TASKS, memory_growth_bytes_max=30_000_000)
    first = asyncio.create_task(yard.run(worker, task="run", fields={"code": code}))
    behind = asyncio.create_task(yard.run(worker, task="look"))
    outcome, other = await asyncio.gather(first, behind, return_exceptions=True)
    assert not isinstance(outcome, WorkerDied), "the job has its own outcome"
    assert not isinstance(other, HandlerFailed)
    assert getattr(other, "begun", False) is False
    await worker.wait_gone()
    assert why in worker.recycled
    await yard.logs.until(lambda text: text.startswith("[seatrial] the worker is replaced: ") and why in text)


# A stand-in for torch: what its calls are, and in which order they come. There is no device here.
TORCH = """
import sys, types
calls = []
cuda = types.ModuleType("torch.cuda")
cuda.is_initialized = lambda: True
cuda.current_device = lambda: 0
cuda.device_count = lambda: 1
cuda.memory_allocated = lambda index: 12_000
cuda.synchronize = lambda: calls.append("synchronize")
cuda.empty_cache = lambda: calls.append("empty_cache")
cuda.reset_peak_memory_stats = lambda: calls.append("reset")
cuda.max_memory_allocated = lambda: 12_345
torch = types.ModuleType("torch")
torch.cuda = cuda
sys.modules.update({"torch": torch, "torch.cuda": cuda})

class Late(dict):
    def items(self):
        calls.append("read")
        return super().items()

class Handler:
    def run(self, fail=False):
        calls.append("run")
        if fail:
            raise ValueError
        return Late(a=1)

    def calls(self):
        return list(calls)
"""


async def test_the_device_is_synchronised_before_the_answer_is_read(yard: Any) -> None:
    worker = await yard.python(TORCH, tasks=("run", "calls"))
    assert (await worker.load()).device == "cuda:0"
    answer = await yard.run(worker, task="run")
    assert answer.memory.device_peak_bytes == 12_345
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, task="run", fields={"fail": True})
    assert failed.value.memory.device_peak_bytes == 12_345
    calls = json.loads((await yard.run(worker, task="calls")).body)
    assert calls[:3] == ["reset", "run", "synchronize"]
    assert calls[3] == "read"
    assert calls[calls.index("reset", 1) :] == ["reset", "run", "empty_cache", "reset"]


# ---------------------------------------------------------------------- and nobody else notices


@contextmanager
def tiny(folder: Path) -> Iterator[bool]:
    """A file system of 1 MiB there, where this process may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    yield mounted
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_scratch_folder_fails_the_job_and_no_other(engine: Any) -> None:
    scratch = engine.data / "scratch"
    with tiny(scratch) as mounted:
        await engine.deploy()
        before = "" if mounted else f"__import__('resource').setrlimit({'1'}, (4096, -1)) or "
        path = "os.environ['TMPDIR'] + '/big'"
        job = await engine.ended(await engine.submit(f"{before}open({path}, 'wb').write(bytes(9_000_000))"))
        assert (job.state, job.failure["error_type"]) == (JobState.FAILED, "scratch_full")
        assert job.failure["details"]["remedy"]
        assert await engine.run(f"[os.remove({path}), 5][1]") == 5
        await engine.close()


async def test_every_misuse_costs_only_its_own_job(clock: Any, make_engine: Any) -> None:
    engine = await make_engine(worker_deaths_max=1)
    await engine.deploy()
    misuses = ["1 / 0", "sys.exit(3)", "os._exit(9)", "ctypes.string_at(0)", "sys.stdout.close() or print(1)"]
    misuses += ["os.closerange(3, 1024)", "fail(MemoryError())", "fail(RuntimeError('CUDA error: misaligned address'))"]
    misuses += ["object()", "os.kill(os.getpid(), 9)"]
    expected = ["handler_error", "handler_exited", "worker_crashed", "worker_crashed", "stream_closed"]
    expected += ["link_lost", "out_of_memory", "device_fault", "output_not_serialisable", "worker_crashed"]
    jobs = []
    for number, code in enumerate(misuses):
        jobs += [await engine.submit(code), await engine.submit(str(number))]
    assert [await engine.value(one) for one in jobs[1::2]] == list(range(len(misuses)))
    ended = [await engine.ended(one) for one in jobs[::2]]
    assert [one.failure["error_type"] for one in ended] == expected
    assert all(one.failure["details"]["remedy"] for one in ended)
    neighbours = [await engine.ended(one) for one in jobs[1::2]]
    assert {(one.attempt, one.deaths) for one in neighbours} == {(1, 0)}
