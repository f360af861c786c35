"""Starts worker processes on this machine."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from seatrial.adapters.processes.by_hand import write_down
from seatrial.adapters.processes.descendants import (
    SERVER_VARIABLE,
    WORKER_VARIABLE,
    Process,
    end_all,
    environment_value,
    processes,
)
from seatrial.adapters.processes.launch import (
    environment,
    explore,
    load_order,
    package_view,
    start,
    surroundings_of,
)
from seatrial.adapters.processes.output import Output
from seatrial.adapters.processes.redaction import Redactor
from seatrial.adapters.processes.scratch import Scratch
from seatrial.adapters.processes.watchman import Watchman
from seatrial.adapters.processes.worker import ProcessWorker
from seatrial.domain.work import Work, WorkerSpec
from seatrial.ports.clock import Clock
from seatrial.ports.log_store import LogStore

PR_SET_CHILD_SUBREAPER = 36


class ProcessPool:
    """Implements `ports.model_pool.ModelPool`.

    Of `data_dir` workers see what is theirs, and nothing else. `visible` are folders of the host that workers see,
    and may write to, even below /tmp or in `data_dir`. Making a pool tries once what the system allows, which takes
    some 50 ms; with `isolate` off, nobody gets fixed paths, and workers see the whole machine.
    """

    def __init__(
        self, logs: LogStore, data_dir: Path, clock: Clock, visible: Sequence[Path] = (), *, isolate: bool = True
    ) -> None:
        _adopt_orphans()
        self._logs = logs
        self._clock = clock
        self._surroundings, self._why_not_isolated = explore(data_dir, tuple(visible), isolate=isolate)
        self._name = secrets.token_hex(4)  # tells this server's workers from an earlier one's
        self._count = 0
        self._watchman = Watchman()

    async def start(self, spec: WorkerSpec) -> ProcessWorker:
        """See `ports.model_pool.ModelPool.start`.

        Raises:
            OSError: the system has no room for a process, or the scratch folder cannot be made.
        """
        self._count += 1
        worker_id = f"{spec.endpoint_name}-{self._name}-{self._count}"
        surroundings = surroundings_of(spec, self._surroundings)
        nonce = secrets.token_hex(8)
        scratch = Scratch(spec.scratch.resolve(), spec.remains)
        await asyncio.to_thread(scratch.make)
        view = await asyncio.to_thread(package_view, spec, scratch, surroundings)
        redactor = Redactor(spec.secrets)
        group = f"/aws/sagemaker/Endpoints/{spec.endpoint_name}"
        output = Output(self._logs, self._clock, redactor, group, worker_id, nonce)
        variables = environment(spec, scratch, surroundings, worker_id)
        started = start(spec, scratch, surroundings, variables)
        worker = ProcessWorker(worker_id, spec, started, scratch, output, redactor, self._watchman)
        worker.send_load(load_order(spec, view, scratch, nonce, surroundings, worker_id))
        return worker

    async def kill_orphans(self) -> int:
        """See `ports.model_pool.ModelPool.kill_orphans`."""
        return await end_all(self._orphans)

    async def write_down(self, spec: WorkerSpec, work: Work | None, folder: Path) -> None:
        """See `ports.model_pool.ModelPool.write_down`."""
        await asyncio.to_thread(write_down, spec, work, folder)

    def isolation(self) -> str | None:
        """See `ports.model_pool.ModelPool.isolation`."""
        return self._why_not_isolated

    def _orphans(self) -> list[Process]:
        return [one for one in processes() if self._is_orphan(one)]

    def _is_orphan(self, one: Process) -> bool:
        if one.pid == os.getpid() or environment_value(one.pid, SERVER_VARIABLE) != self._surroundings.data_id:
            return False
        worker_id = environment_value(one.pid, WORKER_VARIABLE) or ""
        return worker_id.rpartition("-")[0].rpartition("-")[2] != self._name


def _adopt_orphans() -> None:
    """Descendants of workers that lose their parent become children of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
