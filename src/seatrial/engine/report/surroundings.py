"""What a trial's result depends on, as it is now."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import SeatrialError
from seatrial.domain.limits import LIST_KEYS_MAX
from seatrial.engine.outfit import Outfitter
from seatrial.engine.report.bindings import DEVICE, ENVIRONMENT, INTERPRETER, PACKAGE, PLATFORM, SAMPLES, Facts
from seatrial.ports.machine import Machine
from seatrial.ports.object_store import NoSuchBucket, ObjectStore
from seatrial.ports.packages import Environments, PackageStore


class Surroundings:
    """Asks each part for its facts."""

    def __init__(
        self,
        outfitter: Outfitter,
        packages: PackageStore,
        environments: Environments,
        machine: Machine,
        objects: ObjectStore,
    ) -> None:
        self._outfitter = outfitter
        self._packages = packages
        self._environments = environments
        self._machine = machine
        self._objects = objects

    async def at_trial(
        self, version: EndpointVersion, python: Path | None, device: str | None, samples: Facts | None
    ) -> dict[str, Facts]:
        """What is known of a trial that came so far: what it did not come to is left out."""
        facts: dict[str, Facts] = {PLATFORM: await asyncio.to_thread(self._machine.platform)}
        if version.package.sha256:
            facts[PACKAGE] = {"content": version.package.sha256}
        if python is not None:
            facts |= await self._environments.contents(python)
        if device is not None:
            facts[DEVICE] = await asyncio.to_thread(self._machine.device, device)
        if samples is not None:
            facts[SAMPLES] = samples
        return facts

    async def now(self, version: EndpointVersion, then: Mapping[str, Any]) -> dict[str, Facts]:
        """The same facts as a report's bindings have, as they are now."""
        facts: dict[str, Facts] = {PLATFORM: await asyncio.to_thread(self._machine.platform)}
        if PACKAGE in then:
            facts[PACKAGE] = {"content": await self._packages.content(version.package)}
        if ENVIRONMENT in then:
            facts |= await self._environment(version)
        if DEVICE in then:
            facts[DEVICE] = await asyncio.to_thread(self._machine.device, then[DEVICE]["facts"]["device"])
        uri = version.settings.samples_uri
        if SAMPLES in then and uri:  # those inside the package changed only if the package did
            facts[SAMPLES] = {**then[SAMPLES]["facts"], "outside": await self.outside(uri)}
        return facts

    async def outside(self, uri: str) -> Facts:
        """The samples under `s3://bucket/prefix`: how many, and a hash over their keys and ETags."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        prefix = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        digest, count, after = hashlib.sha256(), 0, ""
        while True:
            try:
                page = await self._objects.list(bucket, prefix, after=after, limit=LIST_KEYS_MAX)
            except NoSuchBucket:
                return {"uri": uri, "count": 0, "sha256": "gone"}
            for info in page.objects:
                digest.update(f"{info.sealed.etag} {info.name.key}\0".encode())
            count += len(page.objects)
            if page.next_after is None:
                return {"uri": uri, "count": count, "sha256": digest.hexdigest()}
            after = page.next_after

    async def _environment(self, version: EndpointVersion) -> dict[str, Facts]:
        try:
            manifest = self._outfitter.manifest(version)
            python = await self._outfitter.python(version, manifest, lambda what, done, total: None)
            return dict(await self._environments.contents(python))
        except SeatrialError as error:
            missing = {"distributions": f"cannot be looked at: {error.message.splitlines()[0]}"}
            return {ENVIRONMENT: missing, INTERPRETER: missing}
