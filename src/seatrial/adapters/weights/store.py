"""Big files, kept once by content, read-only.

`<folder>/<sha256>/content` is the file or folder; `kept.json` beside it notes size and time of change, so that bytes
are hashed once and never again while they stay as they are. What is being fetched lies in `<folder>/.partial-<sha256>`
and survives a restart: the next fetch reads on from there. Only whole content with the right hash gets its name.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from seatrial.adapters.weights.files import FileSource, path_of
from seatrial.adapters.weights.http import HttpSource
from seatrial.adapters.weights.kept import CONTENT, is_kept, keep, remove, weights_hash
from seatrial.adapters.weights.objects import ObjectSource
from seatrial.adapters.weights.partial import Partial
from seatrial.adapters.weights.source import Source, SourceBroke, shown_uri, unfit
from seatrial.domain.addresses import IpNetwork
from seatrial.domain.limits import ARCHIVE_MEMBERS_MAX, WEIGHTS_FETCH_SECONDS_MAX
from seatrial.package.manifest import WeightsSpec
from seatrial.ports.backup import Holds, Member
from seatrial.ports.object_store import ObjectStore
from seatrial.ports.packages import Progress

T = TypeVar("T")

WEIGHTS = "weights"  # their folder in a data folder
PARTIAL = ".partial-"

FRUITLESS_TRIES_MAX = 5
PAUSE_SECONDS_MAX = 30.0
TOLD_SECONDS_MIN = 1.0  # between two reports of a fetch: each becomes a line of a log
TOLD_SHARE_MIN = 0.01
TRY_AGAIN = "Deploy again when the source is back: what has come is kept, and the fetch reads on."


class FolderWeights:
    """The WeightStore of one server (see ports/packages.py), which alone owns `folder`.

    `objects` answers `s3://`; `allow` opens networks that are not public to `http(s)://`; `trust` replaces the
    usual certificates; `pause` waits that many seconds between tries; `monotonic` tells seconds that never go back.
    """

    def __init__(
        self,
        folder: Path,
        objects: ObjectStore,
        *,
        allow: tuple[IpNetwork, ...] = (),
        trust: ssl.SSLContext | None = None,
        fetch_seconds_max: float = WEIGHTS_FETCH_SECONDS_MAX,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._objects = objects
        self._allow = allow
        self._trust = trust
        self._fetch_seconds_max = fetch_seconds_max
        self._pause = pause
        self._monotonic = monotonic
        self._locks: dict[str, asyncio.Lock] = {}
        self._holds = Holds()
        folder.mkdir(parents=True, exist_ok=True)

    async def fetch(self, weights: WeightsSpec, package: Path, progress: Progress) -> Path:
        """See the port. Two calls for the same content wait for one fetch."""
        kept = self._folder / weights.sha256
        async with self._locks.setdefault(weights.sha256, asyncio.Lock()):
            if not await asyncio.to_thread(is_kept, kept):
                try:
                    async with asyncio.timeout(self._fetch_seconds_max):
                        await self._fetch(weights, package, progress)
                except TimeoutError:
                    what = f"{shown_uri(weights.uri)} was not fetched within {self._fetch_seconds_max:g} seconds"
                    raise unfit(what, remedy=TRY_AGAIN) from None
                except OSError as error:
                    what = f"The server's disk does not take the weights: {error.strerror or error}"
                    raise unfit(what, remedy="Make room, and deploy again.", valid=None) from error
            os.utime(kept)
        return kept / CONTENT

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """See the port; what this server fetched has a lock here."""
        if self._holds.any():
            return 0
        return await asyncio.to_thread(self._remove_unused, {*in_use, *self._locks}, until_ms)

    def _remove_unused(self, spared: Collection[str], until_ms: int) -> int:
        idle = [
            folder
            for folder in self._folder.iterdir()
            if folder.name.removeprefix(PARTIAL) not in spared and folder.stat().st_mtime_ns // 1_000_000 <= until_ms
        ]
        for folder in idle:
            remove(folder)
        return len(idle)

    def held(self) -> AbstractContextManager[None]:
        """See ports.backup.Keeper."""
        return self._holds.held()

    async def members(self, database: Path) -> list[Member]:
        """See ports.backup.Keeper: whatever is whole. Without their notes, so that a restored copy is hashed once."""
        return await asyncio.to_thread(self._members)

    def _members(self) -> list[Member]:
        members: list[Member] = []
        for kept in sorted(self._folder.iterdir()):
            if not kept.name.startswith("."):
                paths = [kept, kept / CONTENT, *sorted((kept / CONTENT).rglob("*"))]
                members += [Member(f"{WEIGHTS}/{path.relative_to(self._folder)}", path) for path in paths]
        return members

    async def _fetch(self, weights: WeightsSpec, package: Path, progress: Progress) -> None:
        shown = shown_uri(weights.uri)
        source = self._source(weights.uri, package)
        partial = await asyncio.to_thread(Partial, self._folder / (PARTIAL + weights.sha256), weights.uri)
        report = _Report(weights.path, progress, self._monotonic)
        files = await self._persist(source.files, report)
        if len(files) > ARCHIVE_MEMBERS_MAX:
            raise unfit(f"{shown} holds more than {ARCHIVE_MEMBERS_MAX} files")
        report.expect(files)
        for name, _ in files:
            await self._download(source, partial, name, report)
        report.checking()
        found = await asyncio.to_thread(weights_hash, partial.content)
        if found != weights.sha256:
            await asyncio.to_thread(remove, partial.folder)
            what = f"{shown} has the SHA-256 {found}, and the entry for {weights.path!r} declares {weights.sha256}"
            raise unfit(what, field="sha256", valid=found)
        partial.finish()
        await asyncio.to_thread(keep, partial.folder, self._folder / weights.sha256)

    def _source(self, uri: str, package: Path) -> Source:
        scheme = uri.partition("://")[0].lower() if "://" in uri else "file"
        if scheme == "s3":
            return ObjectSource(uri, self._objects)
        if scheme in ("http", "https"):
            return HttpSource(uri, allow=self._allow, trust=self._trust)
        if scheme == "file":
            return FileSource(path_of(uri, package), folder=uri.endswith("/"))
        raise unfit(f"{shown_uri(uri)} has a scheme that is not known")

    async def _download(self, source: Source, partial: Partial, name: str, report: _Report) -> None:
        """One file to its end, reading on after each break."""

        async def read_on() -> None:
            have, validator = await asyncio.to_thread(partial.state, name)
            async with source.open(name, have, validator) as opened:
                _check_room(partial.folder, opened.start, opened.total_bytes)
                report.file(opened.start, opened.total_bytes)
                with await asyncio.to_thread(partial.writer, name, opened.start, opened.validator) as body:
                    async for chunk in opened.chunks:
                        await asyncio.to_thread(body.write, chunk)
                        report.came(len(chunk))
                    got = body.tell()
            if opened.total_bytes is not None and got != opened.total_bytes:
                raise SourceBroke(f"{name or 'the file'} ended after {got} of {opened.total_bytes} bytes")

        await self._persist(read_on, report)
        report.file_done()

    async def _persist(self, work: Callable[[], Awaitable[T]], report: _Report) -> T:
        """Try again after breaks, as long as the fetch comes further in between."""
        fruitless = 0
        while True:
            before = report.furthest
            try:
                return await work()
            except SourceBroke as error:
                fruitless = 0 if report.furthest > before else fruitless + 1
                if fruitless > FRUITLESS_TRIES_MAX:
                    raise unfit(f"{error}, {fruitless} times", remedy=TRY_AGAIN) from error
            await self._pause(min(2.0**fruitless, PAUSE_SECONDS_MAX))


class _Report:
    """How far a fetch is, over all its files: told at once, then seldom, and at the end."""

    def __init__(self, what: str, progress: Progress, monotonic: Callable[[], float]) -> None:
        self._what = what
        self._progress = progress
        self._monotonic = monotonic
        self._told: tuple[int, int | None] | None = None  # what was told last: bytes done, of these in total
        self._told_at_seconds = 0.0
        self._total: int | None = None
        self._done_before = 0  # bytes of the files before this one
        self._done = 0
        self.furthest = 0

    def expect(self, files: list[tuple[str, int | None]]) -> None:
        """The sizes are known before reading, or not."""
        sizes = [size for _, size in files]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)

    def file(self, start: int, total_bytes: int | None) -> None:
        """A file is open, from `start` on."""
        self._done = start
        if self._total is None and self._done_before == 0:
            self._total = total_bytes  # the only file of a source that does not know sizes before
        self._advance()

    def came(self, size_bytes: int) -> None:
        """More of it has come."""
        self._done += size_bytes
        self._advance()

    def file_done(self) -> None:
        """The next file follows."""
        self._done_before += self._done
        self._done = 0

    def checking(self) -> None:
        """All is there and is being hashed."""
        if self._told != (self._done_before, self._total):
            self._tell(self._what)
        self._tell(f"{self._what}: checking its SHA-256")

    def _advance(self) -> None:
        self.furthest = max(self.furthest, self._done_before + self._done)
        if self._is_due():
            self._tell(self._what)

    def _is_due(self) -> bool:
        if self._told is None:
            return True
        further = abs(self._done_before + self._done - self._told[0])  # back, where a source has to be read anew
        waited_seconds = self._monotonic() - self._told_at_seconds
        return waited_seconds >= TOLD_SECONDS_MIN and further >= (self._total or 0) * TOLD_SHARE_MIN

    def _tell(self, what: str) -> None:
        done = self._done_before + self._done
        self._told, self._told_at_seconds = (done, self._total), self._monotonic()
        self._progress(what, done, self._total)


def _check_room(folder: Path, start: int, total_bytes: int | None) -> None:
    if total_bytes is None:
        return
    free, missing = shutil.disk_usage(folder).free, total_bytes - start
    if missing > free:
        what = f"The server's disk has {free} bytes free, and {missing} are needed"
        raise unfit(what, remedy="Make room, and deploy again.", valid=None)
