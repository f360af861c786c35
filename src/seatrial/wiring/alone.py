"""One trial, without a server that listens: the same parts on a data folder of its own, for as long as it takes."""

from __future__ import annotations

import asyncio
import mimetypes
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.adapters.sql.lock import DataFolderLock
from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.adapters.urls.within import WithinUrls
from seatrial.config import Settings
from seatrial.domain.addresses import PRIVATE_NETWORKS
from seatrial.domain.credentials import EVERYTHING
from seatrial.domain.endpoint import EndpointStatus, EndpointVersion
from seatrial.domain.limits import LONG_POLL_SECONDS_MAX
from seatrial.domain.objects import ObjectName
from seatrial.engine.deploy import Deployment
from seatrial.engine.remains import LOGS_FILE
from seatrial.engine.submit import INPUTS_BUCKET
from seatrial.http.api.views import StageView
from seatrial.http.app import build_app
from seatrial.wiring.parts import Folders, Server, private_folder, put_together

NOWHERE = "http://seatrial.invalid"  # a name that never resolves (RFC 6761): no port listens
OWNER = "alone"
SAMPLES = "samples"
Show = Callable[[list[dict[str, Any]]], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to prove: a directory or `.tar.gz`, under which name, with which fields of VersionSettings.

    `samples` is a folder of further samples; `again` the line that runs this again; `kept` says whether the data folder
    stays when the trial fails.
    """

    name: str
    package: Path
    label: str
    again: str
    kept: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    samples: Path | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: the stages as the API shows them, and the reason of a failure. `logs`: what its workers wrote."""

    passed: bool
    reason: str | None
    stages: list[dict[str, Any]]
    logs: list[str]


async def run_alone(settings: Settings, asked: Asked, show: Show) -> Ended:
    """Run the trial; `show` gets the stages at each change. Cancelled (also by SIGTERM), it leaves no process behind.

    Raises:
        StartError, DataFolderInUse: the data folder cannot be used.
    """
    data = private_folder(settings.data)
    async with AsyncExitStack() as stack:
        home = stack.enter_context(DataFolderLock(data)).home()
        stack.enter_context(_ended_by(signal.SIGTERM))
        anywhere = await stack.enter_async_context(GuardedUrls(allow=PRIVATE_NETWORKS))
        own = WithinUrls(NOWHERE, anywhere)
        parts = put_together(settings, Folders(data), home, NOWHERE, own, _again(asked), kept=asked.kept)
        server = await stack.enter_async_context(parts)
        own.serve(build_app(server.services))
        rounds = server.rounds()
        try:
            return await _trial(server, asked, show, data)
        finally:
            server.services.submitter.drain()
            server.dispatcher.drain()
            await server.deployer.close(0)
            await server.wind_up(rounds)


def _again(asked: Asked) -> Callable[[EndpointVersion, str], str]:
    return lambda version, stage: asked.again


@contextmanager
def _ended_by(number: int) -> Iterator[None]:
    """The signal cancels the task at hand, as Ctrl-C does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


async def _trial(server: Server, asked: Asked, show: Show, data: Path) -> Ended:
    deployer = server.deployer
    settings = dict(asked.settings)
    if asked.samples is not None:
        settings["samples_uri"] = await _stored(server, asked.samples)
    endpoint = await deployer.create(Deployment(asked.name, OWNER, EVERYTHING, asked.package, asked.label, settings))
    while True:
        heard = deployer.heard(asked.name)
        endpoint = await deployer.endpoint(asked.name)
        (version,) = await deployer.versions(asked.name)
        stages = [StageView.of(one).model_dump() for one in version.stages]
        show(stages)
        if endpoint.target_version is None:
            break
        await deployer.wait(asked.name, heard, LONG_POLL_SECONDS_MAX)
    logs = data / "remains" / f"{asked.name}-{version.number}" / LOGS_FILE
    lines = (await asyncio.to_thread(logs.read_text, "utf-8")).splitlines() if logs.exists() else []
    passed = endpoint.status is EndpointStatus.IN_SERVICE
    return Ended(passed, endpoint.failure_reason, stages, lines)


async def _stored(server: Server, folder: Path) -> str:
    """The files of a folder as objects; the prefix that they are under."""
    objects = server.services.objects
    for path in await asyncio.to_thread(lambda: sorted(one for one in folder.rglob("*") if one.is_file())):
        content = await asyncio.to_thread(path.read_bytes)
        sealed = await objects.stage(content, len(content))
        name = ObjectName(INPUTS_BUCKET, f"{SAMPLES}/{path.relative_to(folder).as_posix()}")
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        await objects.reveal(sealed, name, media_type, {})
    return f"s3://{INPUTS_BUCKET}/{SAMPLES}/"
