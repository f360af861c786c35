"""Breaks things, one after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from seatrial.testing.postgres import PostgresServer
from torture.plan import JUMP_SECONDS_MAX, Fault, Kind
from torture.proxy import FaultyProxy, Trouble
from torture.server import Server
from torture.work import ENDPOINT

AT_POINT_SECONDS = 2.0  # how long a crash point is waited for
BALLAST_BYTES = 1_048_576


@dataclass(frozen=True)
class Deployment:
    """What serves."""

    workers: int
    webhook: str

    def put(self, server: Server) -> httpx.Response:
        """Deploy it, or a new version of it."""
        return server.put(ENDPOINT, self.workers, self.webhook)


class Breaker:
    """Carries out faults and keeps the server up in between."""

    def __init__(
        self,
        server: Server,
        clock: Path,
        deployment: Deployment,
        has_small_disk: bool,
        proxy: FaultyProxy | None,
        postgres: PostgresServer | None,
    ) -> None:
        self.done: Counter[Kind | Trouble] = Counter()
        self._proxy = proxy
        self._server = server
        self._clock = clock
        self._deployment = deployment
        self._ways: dict[Kind, Callable[[Fault], bool]] = {
            Kind.KILL_SERVER: self._kill_server,
            Kind.KILL_AT_POINT: self._kill_at_point,
            Kind.KILL_WORKER: lambda fault: self._signal_worker(fault, signal.SIGKILL),
            Kind.STOP_SERVER: self._stop_server,
            Kind.STOP_WORKER: lambda fault: self._signal_worker(fault, signal.SIGSTOP),
            Kind.JUMP: self._jump,
            Kind.UPDATE: self._update,
            Kind.RESTART: self._restart,
        }
        if has_small_disk:
            self._ways[Kind.FILL_DISK] = self._fill_disk
        if proxy is not None:
            self._ways[Kind.OBJECTS] = lambda fault: self._trouble(fault, proxy)

        if postgres is not None:
            self._ways[Kind.DATABASE] = lambda fault: self._restart_database(fault, postgres)

    def run(self, faults: Iterator[Fault], over: threading.Event) -> None:
        """Until the run is over; the server is up and nothing is broken when this returns."""
        for fault in faults:
            if over.wait(fault.pause_seconds):
                break
            way = self._ways.get(fault.kind)
            if way is not None and way(fault):
                self.done[fault.trouble if fault.kind is Kind.OBJECTS else fault.kind] += 1
            self._keep_up()
        self._mend()

    def _mend(self) -> None:
        """Nothing is broken any more. The clock jumps once more, so that what waits for its next try is due."""
        self._clock.write_text(str(JUMP_SECONDS_MAX))
        if self._proxy is not None:
            self._proxy.trouble = None
        self._keep_up()

    def _keep_up(self) -> None:
        """The server runs, and its endpoint is in service or on its way there."""
        while self._server.ended() is not None:
            self._server.forget_order()
            self._server.wait_ended()
            self._server.start()
        with suppress(httpx.TransportError):
            answer = self._server.http.get(f"/v1/endpoints/{ENDPOINT}")
            if answer.status_code == 200 and answer.json()["status"] == "Failed":
                self._deployment.put(self._server)

    def _kill_server(self, fault: Fault) -> bool:
        self._server.kill()
        time.sleep(fault.seconds / 5)
        return True

    def _kill_at_point(self, fault: Fault) -> bool:
        self._server.order(f"kill {fault.point} {fault.arrival}")
        give_up = time.monotonic() + AT_POINT_SECONDS
        while self._server.ended() is None and time.monotonic() < give_up:
            time.sleep(0.02)
        self._server.forget_order()
        return self._server.ended() is not None

    def _signal_worker(self, fault: Fault, number: signal.Signals) -> bool:
        workers = self._server.workers()
        if not workers:
            return False
        pid = workers[fault.arrival % len(workers)]
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            if number is signal.SIGSTOP:
                time.sleep(fault.seconds)
                os.kill(pid, signal.SIGCONT)
        return True

    def _stop_server(self, fault: Fault) -> bool:
        os.kill(self._server.pid, signal.SIGSTOP)
        time.sleep(fault.seconds)
        os.kill(self._server.pid, signal.SIGCONT)
        return True

    def _jump(self, fault: Fault) -> bool:
        draft = self._clock.with_suffix(".draft")
        draft.write_text(str(fault.seconds))
        draft.replace(self._clock)
        return True

    def _fill_disk(self, fault: Fault) -> bool:
        ballast = self._server.data / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(BALLAST_BYTES))
        with suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(b"x")
        time.sleep(fault.seconds)
        ballast.unlink()
        return True

    def _trouble(self, fault: Fault, proxy: FaultyProxy) -> bool:
        """It goes on while the next thing breaks, and ends with the next trouble."""
        proxy.trouble = fault.trouble
        time.sleep(fault.seconds)
        proxy.trouble = None if fault.arrival % 2 else proxy.trouble
        return True

    def _restart_database(self, fault: Fault, postgres: PostgresServer) -> bool:
        postgres.kill()
        time.sleep(fault.seconds)
        postgres.start()
        return True

    def _update(self, _: Fault) -> bool:
        with suppress(httpx.TransportError):
            return self._deployment.put(self._server).status_code == 202
        return False

    def _restart(self, _: Fault) -> bool:
        self._server.stop()
        return True


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[bool]:
    """A file system of its own for the folder; False: this machine does not let us."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
