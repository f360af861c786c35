"""What a failed trial leaves, to be debugged: a folder of the data folder, bounded in size and in age.

NAME-NUMBER/
  trial.json     which version, stage and job it was, what it said, and the lines that run it again
  worker.json    what its workers were started with, but for the values of secrets
  request.json   the request at fault as its handler got it, with its contents in request/ and inputs/
  output/        what that request brought, or failure.json why it did not
  workers/       the scratch folders of its workers as they were left, and answers that could not become results
  logs.txt       what the trial and its workers wrote
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from seatrial.domain import errors
from seatrial.domain.endpoint import EndpointVersion, StageState, TrialStage
from seatrial.domain.errors import NotFound, SeatrialError
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import (
    REMAINS_ALL_BYTES_MAX,
    REMAINS_BYTES_MAX,
    REMAINS_FILES_NAMED_MAX,
    REMAINS_KEPT_DAYS,
    REMAINS_KEPT_MAX,
    REMAINS_LOG_LINES_MAX,
)
from seatrial.domain.logs import LogFilter
from seatrial.domain.work import Work, WorkerSpec
from seatrial.engine.directory import Directory
from seatrial.engine.inspect import Inspector
from seatrial.engine.prepare import Preparer
from seatrial.ports.clock import Clock
from seatrial.ports.log_store import LogStore
from seatrial.ports.model_pool import ModelPool
from seatrial.ports.object_store import ObjectStore

log = structlog.get_logger()

TRIAL_FILE = "trial.json"
LOGS_FILE = "logs.txt"
WORKERS = "workers"
INPUTS = "by-hand"  # the token under which the inputs of the request are fetched
Again = Callable[[EndpointVersion, str], str]  # a version and a stage -> the line that runs its trial again from there
DAY_MS = 24 * 3600 * 1000
NEEDED = frozenset({TRIAL_FILE, "worker.json", "request.json"})
ALONE = frozenset({"load", "prove"})  # stages whose requests run one by one: a handler fails there by itself
# What is found wrong with an answer only after the handler has returned it, and is not looked for by hand.
AFTERWARDS = frozenset(
    {
        errors.OUTPUT_CONTRACT,
        errors.OUTPUT_INVALID,
        errors.OUTPUT_TOO_LARGE,
        errors.DEADLINE_EXCEEDED,
    }
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where what is kept comes from."""

    directory: Directory
    inspector: Inspector
    objects: ObjectStore
    preparer: Preparer
    pool: ModelPool
    logs: LogStore


class Remains:
    """`root` holds a folder for each failed trial. `again` is the line that runs a version's trial again, from a stage;
    `log_group` names an endpoint's log."""

    def __init__(
        self,
        root: Path,
        sources: Sources,
        clock: Clock,
        again: Again,
        log_group: Callable[[str], str],
        *,
        kept: bool = True,
    ) -> None:
        """`kept`: whether `root` outlives this server, so that something can be run there by hand."""
        self._kept = kept
        self._root = root
        self._sources = sources
        self._clock = clock
        self._again = again
        self._log_group = log_group

    def workers(self, version: EndpointVersion) -> Path:
        """Where workers of a version leave what they had, as long as its trial goes on."""
        return self._folder(version) / WORKERS

    async def begin(self, version: EndpointVersion) -> None:
        """A trial begins: what an earlier one of the version left goes."""
        await self.forget(version)
        await asyncio.to_thread(self.workers(version).mkdir, parents=True)

    async def forget(self, version: EndpointVersion) -> None:
        """Nothing of it is worth a look any more."""
        await asyncio.to_thread(shutil.rmtree, self._folder(version), ignore_errors=True)

    async def keep(self, version: EndpointVersion, error: SeatrialError, spec: WorkerSpec | None) -> dict[str, Any]:
        """Keep what a trial left that failed with `error`, once its workers are gone; what its report says of it.

        `spec` is what its workers were started with; None: it had none yet. Trouble with keeping is logged.
        """
        folder = self._folder(version)
        try:
            return await self._keep(version, error, spec, folder)
        except Exception as trouble:  # the named edge: a full disk must not hide why the trial failed
            log.warning("remains.not_kept", endpoint=version.endpoint_name, error=str(trouble), exc_info=trouble)
            return {"reproduce": self._again(version, _stage(version))}

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """Remove what is too old, or too much; how many. What is in use has no folder yet, or a young one."""
        return await asyncio.to_thread(self._prune_all, self._clock.now_ms() - REMAINS_KEPT_DAYS * DAY_MS)

    # ------------------------------------------------------------------ inside

    def _folder(self, version: EndpointVersion) -> Path:
        return self._root / f"{version.endpoint_name}-{version.number}"

    async def _keep(
        self, version: EndpointVersion, error: SeatrialError, spec: WorkerSpec | None, folder: Path
    ) -> dict[str, Any]:
        job = await self._job(error)
        work = None
        if job is not None:
            await self._keep_outcome(job, folder)
            work = await self._prepared(version, job, spec, folder)
        if spec is not None:
            await self._sources.pool.write_down(spec, work, folder)
        await self._keep_logs(version, folder)
        left_out = await asyncio.to_thread(_shrink, folder, REMAINS_BYTES_MAX)
        lines = self._lines(version, job, work, spec)
        told = (
            _told(version, error, job)
            | self._rules(version, work)
            | lines
            | ({"left_out": left_out} if left_out else {})
        )
        await asyncio.to_thread((folder / TRIAL_FILE).write_text, json.dumps(told, indent=1), "utf-8")
        await self.remove_unused((), 0)
        files = await asyncio.to_thread(_named, folder)
        return {"remains": {"folder": str(folder), "files": files}} | lines

    def _lines(
        self, version: EndpointVersion, job: Job | None, work: Work | None, spec: WorkerSpec | None
    ) -> dict[str, str]:
        """`by_hand` runs the handler alone; `reproduce` is the line that shows the failure again."""
        stage = _stage(version)
        again = self._again(version, stage)
        if not self._kept or spec is None or (work is None and stage != "load"):
            return {"reproduce": again, "again": again}
        named = [version.endpoint_name, "--version", str(version.number), "--data", str(self._root.parent)]
        by_hand = shlex.join(["seatrial", "trial", "reproduce", *named])
        word = (job.failure or {}).get("error_type") if job else None
        alone = stage in ALONE and word not in AFTERWARDS
        failed = alone and (job is None or job.state is JobState.FAILED)
        return {"reproduce": by_hand if failed else again, "by_hand": by_hand, "again": again}

    def _rules(self, version: EndpointVersion, work: Work | None) -> dict[str, bool]:
        """What an answer by hand is held against, as in the trial."""
        contract = self._sources.directory.version(version.id).contract
        task = contract.task(work.task) if work is not None and work.task else None
        if task is None and len(contract.tasks) == 1:
            task = contract.tasks[0]
        return {"soft_failures": task is None or task.output.soft_failures}

    async def _job(self, error: SeatrialError) -> Job | None:
        job_id = error.details.get("job_id")
        if not isinstance(job_id, str) or not job_id:
            return None
        try:
            return await self._sources.inspector.job(job_id)
        except NotFound:
            return None

    async def _prepared(self, version: EndpointVersion, job: Job, spec: WorkerSpec | None, folder: Path) -> Work | None:
        """The request as its handler got it; None: it never reached one."""
        if spec is None:
            return None
        contract = self._sources.directory.version(version.id).contract
        try:
            return await self._sources.preparer.prepare(job, version, contract, spec.layout, INPUTS, folder)
        except SeatrialError:
            return None

    async def _keep_outcome(self, job: Job, folder: Path) -> None:
        if job.failure is not None:
            text = json.dumps(dict(job.failure), indent=1)
            await asyncio.to_thread((folder / "failure.json").write_text, text, "utf-8")
        for part in job.parts:
            reading = await self._sources.objects.read(part.object)
            content = b"".join([chunk async for chunk in reading.chunks])
            await asyncio.to_thread(_write, folder / "output" / part.name.replace("/", "_"), content)

    async def _keep_logs(self, version: EndpointVersion, folder: Path) -> None:
        """From the beginning of the trial on; an older version that serves meanwhile is left out."""
        streams = frozenset(str(one) for stage in version.stages for one in stage.details.get("log_streams", []))
        which = LogFilter(
            self._log_group(version.endpoint_name),
            streams | {f"trial/{version.number}"},
            since_ms=min((stage.started_at_ms for stage in version.stages), default=None),
            limit=REMAINS_LOG_LINES_MAX,
        )
        lines = await self._sources.logs.lines(which)
        text = "".join(f"{_instant(line.at_ms)} {line.stream} {line.text}\n" for line in lines)
        await asyncio.to_thread(_write, folder / LOGS_FILE, text.encode())

    def _prune_all(self, until_ms: int) -> int:
        folders = [folder for folder in self._root.iterdir() if (folder / TRIAL_FILE).exists()]
        newest_first = sorted(folders, key=lambda one: (one / TRIAL_FILE).stat().st_mtime, reverse=True)
        removed, size_bytes = 0, 0
        for number, folder in enumerate(newest_first):
            size_bytes += sum(size for _, size in _files(folder))
            is_old = (folder / TRIAL_FILE).stat().st_mtime * 1000 <= until_ms
            if is_old or number >= REMAINS_KEPT_MAX or size_bytes > REMAINS_ALL_BYTES_MAX:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed


def _stage(version: EndpointVersion) -> str:
    """The one that failed; before any stage it is the first."""
    failed = [one.stage for one in version.stages if one.state is StageState.FAILED]
    return failed[-1] if failed else TrialStage.INSPECT


def _told(version: EndpointVersion, error: SeatrialError, job: Job | None) -> dict[str, Any]:
    return {
        "endpoint": version.endpoint_name,
        "version": version.number,
        "package": version.package.source,
        "package_sha256": version.package.sha256,
        "stage": _stage(version),
        "message": error.message,
        "job_id": None if job is None else job.id,
        "secrets": dict(version.settings.secrets),
    }


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Regular files, with their sizes in bytes; links are not followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if not path.is_symlink() and path.is_file():
                yield path, path.stat().st_size


def _named(folder: Path) -> list[str]:
    """For people: what is there, as paths in the folder."""
    names = sorted(str(path.relative_to(folder)) for path, _ in _files(folder))
    more = len(names) - REMAINS_FILES_NAMED_MAX
    return names if more <= 0 else [*names[:REMAINS_FILES_NAMED_MAX], f"… and {more} more"]


def _shrink(folder: Path, bytes_max: int) -> list[str]:
    """Remove the largest files until the rest has at most so many bytes; what went."""
    found = sorted(_files(folder), key=lambda one: one[1])
    size_bytes = sum(size for _, size in found)
    left_out = []
    while size_bytes > bytes_max and found:
        path, size = found.pop()
        if path.name not in NEEDED:
            path.unlink(missing_ok=True)
            size_bytes -= size
            left_out.append(f"{path.relative_to(folder)}: {size:,} bytes")
    return left_out[:REMAINS_FILES_NAMED_MAX]


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
