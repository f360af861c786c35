"""AWS Lambda's layers: PublishLayerVersion, GetLayerVersion, ListLayerVersions, DeleteLayerVersion.

The numbers of a layer's versions only rise, also after one was deleted. A function keeps what it was made with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seatrial.domain.credentials import Principal
from seatrial.domain.errors import OUT_OF_REACH, Forbidden
from seatrial.domain.limits import LAMBDA_CODE_BYTES_MAX, LAMBDA_LAYER_VERSIONS_MAX
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.aws_lambda import layers as dialect
from seatrial.http.dialects.aws_lambda import refusals
from seatrial.http.dialects.aws_lambda.layers import LayerVersion
from seatrial.http.services import Services
from seatrial.ports.object_store import BucketExists, NoSuchBucket

BUCKET = "seatrial-functions"
ZIP = "application/zip"
_KIND = "lambda.layer"
_TOLD = ("Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo")


class LayerShelf:
    """Keeps the versions of layers. Every call may raise AwsError."""

    def __init__(self, services: Services) -> None:
        self._registry = services.registry
        self._objects = services.objects
        self._clock = services.clock
        self._account_id = services.keyring.credentials.account_id
        self._publishing = asyncio.Lock()

    async def publish(self, name: str, body: bytes | Path, given: Mapping[str, Any]) -> LayerVersion:
        """A new version; `body` is its zip file."""
        sealed = await self._objects.stage(body, LAMBDA_CODE_BYTES_MAX)
        with suppress(BucketExists):
            await self._objects.create_bucket(BUCKET)
        async with self._publishing:
            kept = await self._kept(name)
            number = kept["newest"] + 1
            if len(kept["versions"]) >= LAMBDA_LAYER_VERSIONS_MAX:
                raise refusals.invalid(f"A layer has at most {LAMBDA_LAYER_VERSIONS_MAX} versions: delete some.")
            await self._objects.reveal(sealed, object_of(name, number), ZIP, {})
            told = {one: given[one] for one in _TOLD if one in given}
            now_ms = self._clock.now_ms()
            version = LayerVersion(name, number, sealed.size_bytes, sealed.sha256, now_ms, told)
            facts = {"size": version.size_bytes, "sha256": version.sha256, "at_ms": now_ms, "told": told}
            versions = {**kept["versions"], str(number): facts}
            await self._registry.save_document(_KIND, name, {"newest": number, "versions": versions}, now_ms)
        return version

    async def versions(self, name: str) -> list[LayerVersion]:
        """All of a layer, the newest first."""
        versions = (await self._kept(name))["versions"]
        return [_version(name, number, versions[str(number)]) for number in sorted(map(int, versions), reverse=True)]

    async def version(self, name: str, number: int) -> LayerVersion:
        """One of them. Raises AwsError."""
        found = (await self._kept(name))["versions"].get(str(number))
        if found is None:
            raise dialect.missing(f"{name}:{number}")
        return _version(name, number, found)

    async def delete(self, name: str, number: int) -> None:
        """No function can be made with it any more; those that were have it still."""
        async with self._publishing:
            kept = await self._kept(name)
            versions = {one: facts for one, facts in kept["versions"].items() if one != str(number)}
            if versions != kept["versions"]:
                document = {"newest": kept["newest"], "versions": versions}
                await self._registry.save_document(_KIND, name, document, self._clock.now_ms())
        with suppress(NoSuchBucket):
            await self._objects.delete(object_of(name, number))

    async def objects(self, arns: list[str], maker: Principal) -> list[ObjectName]:
        """The zip files of versions that a function is to have. Raises AwsError, Forbidden."""
        if arns:
            require_whole(maker)
        named = [dialect.read_version(one, self._account_id) for one in arns]
        return [object_of(name, (await self.version(name, number)).number) for name, number in named]

    async def _kept(self, name: str) -> Mapping[str, Any]:
        return await self._registry.document(_KIND, name) or {"newest": 0, "versions": {}}


def require_whole(principal: Principal) -> None:
    """Layers belong to no endpoint. Raises Forbidden: the key reaches only some."""
    if not principal.reach.whole:
        message = f"{principal.said} reaches some endpoints or buckets only; layers are for keys that reach all."
        raise Forbidden(OUT_OF_REACH, message, details={"remedy": "Use a key without --endpoint and --bucket."})


def object_of(name: str, number: int) -> ObjectName:
    """Where a version's zip file is kept."""
    return ObjectName(BUCKET, f"layers/{name}/{number}.zip")


def _version(name: str, number: int, facts: Mapping[str, Any]) -> LayerVersion:
    return LayerVersion(name, number, facts["size"], facts["sha256"], facts["at_ms"], facts["told"])
