"""Real worker processes for tests: a pool on a fresh data folder, or the whole server without its doors."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import SERVER_VARIABLE, environment_value, processes, wait_readable
from seatrial.adapters.processes.pool import ProcessPool
from seatrial.adapters.processes.worker import ProcessWorker
from seatrial.adapters.system.topic_certificate import TOPIC_CERTIFICATE_FILE, load_or_create_topic_certificate
from seatrial.config import Settings
from seatrial.domain.credentials import EVERYTHING
from seatrial.domain.endpoint import Endpoint, EndpointStatus
from seatrial.domain.errors import NotFound
from seatrial.domain.jobs import Job, JobFilter, JobPurpose
from seatrial.domain.logs import LogFilter, LogLine, LogStream
from seatrial.domain.objects import ObjectName
from seatrial.domain.work import Produced, Work, WorkerSpec
from seatrial.engine.deploy import Deployment
from seatrial.engine.submission import Submission
from seatrial.engine.submit import Accepted
from seatrial.ports.object_store import NoSuchObject
from seatrial.wiring import parts

PACKAGES = Path(__file__).resolve().parents[1] / "packages"
PATIENCE_SECONDS = 60


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
            await asyncio.wait_for(self._grown.wait(), PATIENCE_SECONDS)


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


# ---------------------------------------------------------------------- the whole server, without its doors


class HastyClock(SystemClock):
    """The machine's clock, except that whoever sleeps by it is woken at once, that much later."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.ahead_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        self.ahead_ms += duration_ms
        await asyncio.sleep(0)


class Gate:
    """Holds a handler at `gate(port)` between `reached` and `open`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_SECONDS)
        self._held: socket.socket | None = None

    async def reached(self) -> None:
        """Wait until a handler is at the gate, one that lives."""
        self.open()
        while self._held is None:
            held, _ = await asyncio.to_thread(self._listener.accept)
            held.setblocking(False)
            try:
                gone = held.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                gone = False
            if gone:
                held.close()
            else:
                self._held = held

    def open(self, said: str = "") -> None:
        """Let it go on, with these words."""
        if self._held is not None:
            with self._held, contextlib.suppress(ConnectionError):
                self._held.sendall(said.encode())
            self._held = None

    def close(self) -> None:
        self.open()
        self._listener.close()

    @property
    def code(self) -> str:
        """What to ask of the obedient package."""
        return f"gate({self.port})"

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])


class Notice:
    """Tells every handler that asks at `gate(port)` the same, at once."""

    def __init__(self) -> None:
        self.says = ""

    async def put_up(self) -> "Notice":
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.says.encode())
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def close(self) -> None:
        self._server.close()

    @property
    def code(self) -> str:
        return f"gate({self._server.sockets[0].getsockname()[1]})"


async def vanished(pid: int) -> None:
    """Wait until that process is dead."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert await wait_readable(descriptor, PATIENCE_SECONDS)
        finally:
            os.close(descriptor)


async def kill(pid: int) -> None:
    """SIGKILL, and wait for it."""
    os.kill(pid, signal.SIGKILL)
    await vanished(pid)


@functools.cache
def _certificate() -> bytes:
    """One for all: to make an RSA key is a sixth of the first start on a data folder."""
    with tempfile.TemporaryDirectory() as folder:
        load_or_create_topic_certificate(Path(folder))
        return (Path(folder) / TOPIC_CERTIFICATE_FILE).read_bytes()


class Engine:
    """A server put together by its own wiring, on a data folder of its own; it may be closed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._stack = AsyncExitStack()
        self._gates: list[Gate | Notice] = []
        self._successors: list[Engine] = []

    async def start(self, **settings: Any) -> "Engine":
        self.data.mkdir(exist_ok=True)
        certificate = self.data / TOPIC_CERTIFICATE_FILE
        if not certificate.exists():
            certificate.write_bytes(_certificate())
        chosen = Settings(data=self.data, **{"drill_seconds": 0.0} | settings)
        put_together = parts.put_together(chosen, parts.Folders(self.data), "home", "http://127.0.0.1:1")
        server = await self._stack.enter_async_context(put_together)
        self.deployer, self.dispatcher, self.reaper = server.deployer, server.dispatcher, server.reaper
        self.inspector, self.canceller = server.services.inspector, server.services.canceller
        self.submitter, self.objects = server.services.submitter, server.services.objects
        self.logs = server.services.logs
        self.retainer, self.watch = server.retainer, server.services.inspector._watch
        self.waits = server.services.waits
        delivering = asyncio.create_task(server.services.deliverer.run())
        self._stack.callback(delivering.cancel)
        self.deliverer = server.services.deliverer
        self.canaries, self.meters = server.services.canaries, server.services.meters
        self.registry = server.services.registry
        return self

    async def close(self, grace_seconds: float = 0) -> None:
        self.dispatcher.drain()
        await self.canaries.close()
        await self.deployer.close(grace_seconds)
        await self._stack.aclose()

    async def dispose(self) -> None:
        """The test is over."""
        for gate in self._gates:
            gate.close()
        for successor in self._successors:
            await successor.dispose()
        await self.close()

    async def restarted(self) -> "Engine":
        """The next server on the same data folder; this one was closed."""
        successor = await Engine(self.folder).start()
        self._successors.append(successor)
        await successor.deployer.resume()
        return successor

    def gate(self) -> Gate:
        self._gates.append(gate := Gate())
        return gate

    async def notice(self) -> Notice:
        self._gates.append(notice := await Notice().put_up())
        return notice

    # --- endpoints

    def package(self, files: Mapping[str, str]) -> Path:
        package = self.folder / f"package-{len(list(self.folder.iterdir()))}"
        for name, text in files.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return package

    def deployment(self, package: str | Path, name: str, settings: Mapping[str, Any]) -> Deployment:
        return Deployment(name, "owner", EVERYTHING, PACKAGES / package, "label", settings)

    async def create(self, package: str | Path = "obedient", name: str = "e", **settings: Any) -> Endpoint:
        return await self.deployer.create(self.deployment(package, name, settings))

    async def update(self, package: str | Path = "obedient", name: str = "e", **settings: Any) -> Endpoint:
        return await self.deployer.update(self.deployment(package, name, settings))

    async def deploy(self, package: str | Path = "obedient", name: str = "e", **settings: Any) -> Endpoint:
        """Created and in service."""
        await self.create(package, name, **settings)
        endpoint = await self.settled(name)
        assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
        return endpoint

    async def settled(self, name: str = "e") -> Endpoint:
        """The endpoint once it is in service or failed."""
        return await self.until(
            lambda one: one.status in (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED), name, "settled"
        )

    async def until(self, is_it: Callable[[Endpoint], bool], name: str = "e", what: str = "so") -> Endpoint:
        async with asyncio.timeout(PATIENCE_SECONDS):
            heard = self.deployer.heard(name)
            while not is_it(endpoint := await self.deployer.endpoint(name)):
                await self.deployer.wait(name, heard, PATIENCE_SECONDS)
                heard = self.deployer.heard(name)
        return endpoint

    async def ready(self, workers: int = 1, name: str = "e") -> None:
        """Wait for that many workers of the active version."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.deployer.workers(name) != workers:
                await self.deployer.wait(name, self.deployer.heard(name), 0.02)

    async def gone(self, name: str = "e") -> None:
        """Wait until there is no such endpoint."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with contextlib.suppress(NotFound):
                while True:
                    await self.deployer.wait(name, self.deployer.heard(name), 0.02)

    # --- jobs

    async def accept(self, code: str = "1", name: str = "e", **more: Any) -> Accepted:
        body = json.dumps({"code": code}).encode()
        return await self.submitter.submit(Submission(name, "owner", EVERYTHING, "test", **{"body": body} | more))

    async def submit(self, code: str = "1", name: str = "e", **more: Any) -> str:
        return (await self.accept(code, name, **more)).job_id

    async def ended(self, job_id: str) -> Job:
        job = await self.inspector.wait(job_id, PATIENCE_SECONDS)
        assert job.ended, job
        return job

    async def run(self, code: str = "1", name: str = "e", **more: Any) -> Any:
        """The value of an expression, worked out by a worker."""
        return await self.value(await self.submit(code, name, **more))

    async def value(self, job_id: str) -> Any:
        job = await self.ended(job_id)
        assert job.failure is None, job.failure
        return json.loads(await self.read(job.output.result))["value"]

    async def read(self, name: ObjectName) -> bytes:
        reading = await self.objects.read(name)
        return b"".join([chunk async for chunk in reading.chunks])

    async def published(self, job: Job) -> list[str]:
        """Which of its two names are visible."""
        found = []
        for word, name in (("result", job.output.result), ("failure", job.output.failure)):
            try:
                await self.objects.head(name)
            except NoSuchObject:
                continue
            found.append(word)
        return found

    async def jobs(self, purpose: JobPurpose | None = JobPurpose.CLIENT) -> list[Job]:
        return await self.inspector.jobs(JobFilter(purpose=purpose, limit=1_000))

    async def kill_worker(self, name: str = "e") -> int:
        """SIGKILL from outside, to the one worker there is; its process id, once it is dead."""
        pid = int(await self.run("os.getpid()", name))
        await kill(pid)
        return pid

    def worker_processes(self) -> list[int]:
        """The processes of this engine's workers, and those that they started."""
        folder = self.data.stat()
        mine = f"{folder.st_dev:x}-{folder.st_ino:x}"
        return [one.pid for one in processes() if environment_value(one.pid, SERVER_VARIABLE) == mine]

    async def warm_up(self) -> None:
        """Short jobs, until the worker is trusted with many at a time."""
        for _ in range(20):
            await self.run()

    async def lines(self, name: str = "e") -> list[str]:
        found = await self.logs.lines(LogFilter(f"/aws/sagemaker/Endpoints/{name}"))
        return [line.text for line in found]


@pytest.fixture
def kill_process() -> Callable[[int], Any]:
    return kill


@pytest.fixture
def until_vanished() -> Callable[[int], Any]:
    return vanished


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HastyClock:
    """Ask for it before the engine, and nobody in there sleeps."""
    hasty = HastyClock()
    monkeypatch.setattr(parts, "SystemClock", lambda: hasty)
    return hasty


@pytest.fixture
async def make_engine(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    engines: list[Engine] = []

    async def make(**settings: Any) -> Engine:
        folder = tmp_path / f"engine-{len(engines)}"
        folder.mkdir()
        engines.append(await Engine(folder).start(**settings))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def engine(make_engine: Callable[..., Any]) -> Engine:
    made: Engine = await make_engine()
    return made
