"""Real worker processes for tests: a pool on a fresh data folder, packages written on the spot."""

import asyncio
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes.pool import ProcessPool
from seatrial.adapters.processes.worker import ProcessWorker
from seatrial.domain.logs import LogFilter, LogLine, LogStream
from seatrial.domain.work import Produced, Work, WorkerSpec


class RecordedLogs:
    """A log store in memory that one can wait on."""

    def __init__(self) -> None:
        self.all: list[LogLine] = []
        self._grown = asyncio.Event()

    def append(self, lines: Sequence[LogLine]) -> None:
        self.all.extend(lines)
        self._grown.set()

    async def lines(self, which: LogFilter) -> list[LogLine]:
        return [line for line in self.all if line.group == which.group]

    async def streams(self, group: str) -> list[LogStream]:
        names = {line.stream for line in self.all if line.group == group}
        return [LogStream(group, name, 0, 0) for name in sorted(names)]

    async def groups(self) -> list[str]:
        return sorted({line.group for line in self.all})

    def texts(self, job_id: str | None) -> list[str]:
        return [line.text for line in self.all if line.job_id == job_id]

    async def until(self, is_it: Callable[[str], bool]) -> LogLine:
        while True:
            for line in self.all:
                if is_it(line.text):
                    return line
            self._grown.clear()
            await asyncio.wait_for(self._grown.wait(), 20)


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1_000)


class Yard:
    """Starts workers for a test and ends them after it."""

    def __init__(self, folder: Path, *, isolate: bool = True) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.shared = folder / "shared"  # what a test and a handler both see
        self.shared.mkdir()
        self.logs = RecordedLogs()
        self.pool = ProcessPool(self.logs, self.data, SystemClock(), [self.shared], isolate=isolate)
        self._workers: list[ProcessWorker] = []
        self._jobs = 0

    def package(self, files: Mapping[str, str]) -> Path:
        package = self.data / f"package-{len(list(self.data.iterdir()))}"
        for name, text in files.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return package

    def spec(self, layout: str, files: Mapping[str, str], **more: Any) -> WorkerSpec:
        number = len(self._workers)
        given: dict[str, Any] = {
            "endpoint_name": "tested",
            "version_id": "v1",
            "layout": layout,
            "package": self.package(files),
            "python": Path(sys.executable),
            "scratch": self.data / f"scratch-{number}",
            "env": {},
            "load_timeout_seconds": 30.0,
        }
        return WorkerSpec(**given | more)

    async def start(self, spec: WorkerSpec) -> ProcessWorker:
        worker = await self.pool.start(spec)
        self._workers.append(worker)
        return worker

    async def sagemaker(self, inference: str, **more: Any) -> ProcessWorker:
        """A loaded worker for a `code/inference.py`."""
        worker = await self.start(self.spec("sagemaker", {"code/inference.py": inference}, **more))
        await worker.load()
        return worker

    async def python(self, handler: str, tasks: Sequence[str] = ("run",), **more: Any) -> ProcessWorker:
        """A loaded worker for a module with a class `Handler`."""
        given: dict[str, Any] = {"handler": "model:Handler", "task_methods": {name: name for name in tasks}}
        worker = await self.start(self.spec("python", {"model.py": handler}, **given | more))
        await worker.load()
        return worker

    def work(self, **more: Any) -> Work:
        self._jobs += 1
        given: dict[str, Any] = {"token": f"token-{self._jobs}", "job_id": f"job-{self._jobs}", "timeout_ms": 20_000}
        return Work(**given | more)

    async def run(self, worker: ProcessWorker, **more: Any) -> Produced:
        return await worker.run(self.work(**more))

    async def close(self) -> None:
        await asyncio.gather(*(worker.stop(0) for worker in self._workers))


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def open_yard(tmp_path: Path) -> AsyncIterator[Yard]:
    """One whose workers get no view of their own, as on systems that do not allow it."""
    made = Yard(tmp_path, isolate=False)
    yield made
    await made.close()
