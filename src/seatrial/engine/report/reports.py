"""Makes the signed report of a trial, keeps it beside its version, and finds out whether it still holds.

A report is stale once something that it is bound to has changed. That is looked at when the server starts, for every
version in service, and whenever somebody asks for a report; in between, the last look is told.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog

from seatrial import __version__
from seatrial.domain.endpoint import EndpointVersion, StageState
from seatrial.domain.errors import SeatrialError
from seatrial.domain.history import EndpointEvent, EventKind
from seatrial.domain.limits import LIST_KEYS_MAX
from seatrial.domain.objects import ObjectInfo, ObjectName
from seatrial.engine.bells import Bells
from seatrial.engine.directory import Directory
from seatrial.engine.report.bindings import BINDINGS, Facts, bound, changes
from seatrial.engine.report.envelope import Envelope, NotGenuine, key_id, opened, sealed
from seatrial.engine.report.kept import Keeping, Shown
from seatrial.engine.report.surroundings import Surroundings
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectStore
from seatrial.ports.signer import Signer
from seatrial.ports.storage import as_unavailable

log = structlog.get_logger()

REPORTS_BUCKET = ".reports"  # hidden: no client can name it, nor a worker's keys
REPORT = "report.json"
FORMAT = 1
PASSED, FAILED = "passed", "failed"


@dataclass(slots=True)
class Evidence:
    """What a trial has come to know so far: the rest of a failed one stays as it is here."""

    python: Path | None = None
    device: str | None = None
    samples: Facts | None = None
    shown: Sequence[Shown] = field(default_factory=tuple)
    unproven: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it was signed, with its envelope. `flaw`: why it cannot be trusted; its document is empty then."""

    document: Mapping[str, Any]
    envelope: Envelope
    flaw: str | None = None


class Reports:
    """One per version, the last trial's; `known` is what the last look at a version found."""

    def __init__(
        self,
        objects: ObjectStore,
        surroundings: Surroundings,
        signer: Signer,
        directory: Directory,
        bells: Bells,
        clock: Clock,
    ) -> None:
        self._objects = objects
        self.surroundings = surroundings
        self._signer = signer
        self._directory = directory
        self._bells = bells
        self._clock = clock
        self._known: dict[str, tuple[str, ...]] = {}
        self._looking = asyncio.Lock()  # looks start processes and read whole packages: one at a time

    @property
    def public_pem(self) -> str:
        """The key that reports are verified with."""
        return self._signer.public_pem

    # ------------------------------------------------------------------ making

    async def make(self, version: EndpointVersion, evidence: Evidence, failure_reason: str | None) -> dict[str, Any]:
        """Sign and keep the report of a trial that has ended, with its stages as they are now; the document.

        Raises:
            StoreUnavailable
        """
        facts = await self.surroundings.at_trial(version, evidence.python, evidence.device, evidence.samples)
        await self.forget(version.id)  # of an earlier trial of the same version
        samples = await Keeping(self._objects, _name(version.id, "")).keep(evidence.shown)
        document = {
            "format": FORMAT,
            "endpoint": version.endpoint_name,
            "version": version.number,
            "version_id": version.id,
            "package": {"source": version.package.source, "sha256": version.package.sha256},
            "state": PASSED if failure_reason is None else FAILED,
            "failure_reason": failure_reason,
            "unproven": evidence.unproven,
            "made_at_ms": self._clock.now_ms(),
            "seatrial": __version__,
            "bound_to": {name: bound(facts[name]) for name in BINDINGS if name in facts},
            "stages": [_stage(one) for one in map(asdict, version.stages) if one["state"] != StageState.RUNNING],
            "samples": samples,
            "samples_in_all": len(evidence.shown),
        }
        envelope = json.dumps(sealed(document, self._signer)).encode()
        staged = await self._objects.stage(envelope, len(envelope))
        await self._objects.reveal(staged, _name(version.id, REPORT), "application/json", {})
        if failure_reason is None:
            self._learn(version, ())
        return document

    async def make_up(self, version: EndpointVersion, failure_reason: str) -> None:
        """A report for a trial that failed before or beside its stages, unless it has one already."""
        if await self.read(version.id) is None:
            await self.make(version, Evidence(), failure_reason)

    # ------------------------------------------------------------------ looking

    async def read(self, version_id: str) -> Report | None:
        """The report of a version; None: there is none (yet). Raises StoreUnavailable."""
        content = await self.content(f"{version_id}/{REPORT}")
        if content is None:
            return None
        envelope = _parsed(content)
        try:
            document = opened(envelope, self.public_pem)
        except NotGenuine as error:
            return Report({}, envelope, str(error))
        if document["version_id"] != version_id:
            return Report({}, envelope, "it is the report of another version")
        return Report(document, envelope)

    async def content(self, key: str) -> bytes | None:
        """What a report has kept; None: it is gone. Raises StoreUnavailable."""
        try:
            reading = await self._objects.read(ObjectName(REPORTS_BUCKET, key))
            return b"".join([chunk async for chunk in reading.chunks])
        except (NoSuchBucket, NoSuchObject):
            return None

    def known(self, version_id: str | None) -> tuple[str, ...] | None:
        """What has changed since a version's trial, by the last look; None: nobody has looked yet."""
        return None if version_id is None else self._known.get(version_id)

    async def look(self, version: EndpointVersion, report: Report | None = None) -> tuple[str, ...] | None:
        """What has changed since a version's trial; None: there is no report that it has passed.

        Raises:
            StoreUnavailable
            NotFound: its endpoint was deleted meanwhile.
        """
        report = report or await self.read(version.id)
        if report is None or (report.flaw is None and report.document["state"] != PASSED):
            return None
        if report.flaw is not None:
            found: tuple[str, ...] = (f"report: {report.flaw}",)
        else:
            then = report.document["bound_to"]
            async with self._looking:
                found = tuple(changes(then, await self.surroundings.now(version, then)))
        await self._note(version, report, found)
        self._learn(version, found)
        return found

    async def _note(self, version: EndpointVersion, report: Report, found: tuple[str, ...]) -> None:
        """Keep in the history of an endpoint that the report it is in service by has become stale, or holds again."""
        endpoint = self._directory.endpoint(version.endpoint_name)
        held = not self._known.get(version.id)
        if endpoint.active_version != version.id or held == (not found):
            return
        made_at_ms = report.document.get("made_at_ms")
        told = json.dumps([version.id, made_at_ms, held, found])  # told once, however often a server starts
        event = EndpointEvent(
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, told)),
            endpoint_id=endpoint.id,
            version_id=version.id,
            at_ms=self._clock.now_ms(),
            kind=EventKind.REPORT,
            word="stale" if found else "holds",
            message="; ".join(found),
            details={"changed": list(found)},
        )
        await self._directory.note(event)

    async def look_at_all(self) -> None:
        """Look at every version in service, one after the other. What cannot be looked at now stays unknown."""
        for endpoint in self._directory.endpoints():
            if endpoint.active_version is None:
                continue
            try:
                await self.look(self._directory.version(endpoint.active_version).version)
            except SeatrialError as error:  # deleted meanwhile
                log.info("report.not_looked_at", endpoint=endpoint.name, error=str(error))
            except Exception as error:  # the named edge: one report that cannot be read must not keep the rest
                log.warning("report.not_looked_at", endpoint=endpoint.name, exc_info=not as_unavailable(error))

    def _learn(self, version: EndpointVersion, found: tuple[str, ...]) -> None:
        if self._known.get(version.id) == found:
            return
        self._known[version.id] = found
        self._bells.ring(version.endpoint_name)
        if found:
            log.warning("report.stale", endpoint=version.endpoint_name, version=version.number, changed=list(found))

    # ------------------------------------------------------------------ forgetting

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """Remove the reports of versions that are gone: `in_use` are the ids of those that are there."""
        removed = 0
        async for info in self._kept(""):
            version_id = info.name.key.partition("/")[0]
            if version_id not in in_use and info.modified_at_ms <= until_ms:
                await self._objects.delete(info.name)
                self._known.pop(version_id, None)
                removed += 1
        return removed

    async def forget(self, version_id: str) -> None:
        """Remove the report of a version, with what it has kept."""
        async for info in self._kept(f"{version_id}/"):
            await self._objects.delete(info.name)
        self._known.pop(version_id, None)

    async def _kept(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        after: str | None = ""
        while after is not None:
            page = await self._objects.list(REPORTS_BUCKET, prefix, after=after, limit=LIST_KEYS_MAX)
            for info in page.objects:
                yield info
            after = page.next_after


def _name(version_id: str, what: str) -> ObjectName:
    return ObjectName(REPORTS_BUCKET, f"{version_id}/{what}")


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    return {**stage, "stage": str(stage["stage"]), "state": str(stage["state"])}


def _parsed(content: bytes) -> Envelope:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def signed_by(public_pem: str) -> str:
    """For people."""
    return f"signed with Ed25519 by {key_id(public_pem)}"
