"""AWS Lambda's control plane: CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, DeleteFunction.

A function's code is kept as it came, so that a configuration can change without it. Every change is a new version
with a trial of its own; until that has passed the version before serves.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seatrial.domain.access import outside_object, reaches_object
from seatrial.domain.credentials import Principal
from seatrial.domain.endpoint import Endpoint
from seatrial.domain.errors import BadInput, Busy, Conflict, SeatrialError, Unproven
from seatrial.domain.limits import LAMBDA_CODE_BYTES_MAX
from seatrial.domain.objects import ObjectName
from seatrial.engine.deploy import Deployment
from seatrial.http.dialects.aws_lambda import made, refusals
from seatrial.http.dialects.aws_lambda.layers import LayerVersion
from seatrial.http.doors.lambda_layers import BUCKET, ZIP, LayerShelf
from seatrial.http.services import Services
from seatrial.package.zipped import tar_of_zip
from seatrial.ports.object_store import BucketExists, NoSuchBucket, NoSuchObject

Given = Mapping[str, Any]


class FunctionMaker:
    """Makes and changes functions. Every call may raise AwsError."""

    def __init__(self, services: Services, layers: LayerShelf) -> None:
        self._layers = layers
        self._home = services.home
        self._deployer = services.deployer
        self._objects = services.objects
        self._uploads = services.uploads

    async def create(self, given: Given, maker: Principal, function_arn: str) -> Endpoint:
        """A new function, Pending; its trial goes on."""
        name = given["FunctionName"]
        if any(one.name == name for one in await self._deployer.endpoints()):
            raise refusals.conflict(f"Function already exist: {name}")
        function = made.read_function(given)
        settings = made.settings(function)
        await self._keep(name, given["Code"], maker)
        deployment = await self._deployment(name, maker, function, settings)
        return await self._ordered(self._deployer.create(deployment), function_arn)

    async def update_code(self, endpoint: Endpoint, given: Given, maker: Principal, function_arn: str) -> Endpoint:
        """The same function with other code."""
        function = made.read_function({}, made.made_of(endpoint))
        if given.get("DryRun"):
            return endpoint
        await self._keep(endpoint.name, given, maker)
        deployment = await self._deployment(endpoint.name, maker, function, made.settings(function))
        return await self._ordered(self._deployer.update(deployment), function_arn)

    async def update_configuration(
        self, endpoint: Endpoint, given: Given, maker: Principal, function_arn: str
    ) -> Endpoint:
        """The same code with another configuration."""
        before = made.made_of(endpoint)
        if before is None:
            raise refusals.conflict(
                f"{endpoint.name} was not made by CreateFunction: deploy it again with other settings."
            )
        function = made.read_function(given, before)
        deployment = await self._deployment(endpoint.name, maker, function, made.settings(function))
        return await self._ordered(self._deployer.update(deployment), function_arn)

    async def delete(self, endpoint: Endpoint) -> None:
        """What runs may end; its code goes too."""
        await self._deployer.delete(endpoint.name)
        with suppress(NoSuchBucket):
            await self._objects.delete(_code(endpoint.name))

    async def publish_layer(self, name: str, given: Given, maker: Principal) -> LayerVersion:
        """A new version of a layer, from a zip file in the request or in S3."""
        body = await self._brought(given["Content"], maker)
        try:
            return await self._layers.publish(name, body, given)
        finally:
            if isinstance(body, Path):
                body.unlink(missing_ok=True)

    # ------------------------------------------------------------------ inside

    async def _keep(self, name: str, code: Given, maker: Principal) -> None:
        """The code that a request brings, or names in S3, under the function's name."""
        body = await self._brought(code, maker)
        try:
            sealed = await self._objects.stage(body, LAMBDA_CODE_BYTES_MAX)
        finally:
            if isinstance(body, Path):
                body.unlink(missing_ok=True)
        with suppress(BucketExists):
            await self._objects.create_bucket(BUCKET)
        await self._objects.reveal(sealed, _code(name), ZIP, {})

    async def _brought(self, code: Given, maker: Principal) -> bytes | Path:
        if code.get("ImageUri") or code.get("S3ObjectVersion"):
            raise refusals.invalid("ImageUri and S3ObjectVersion are not offered here.")
        given = code.get("ZipFile")
        if (given is None) == (code.get("S3Bucket") is None or code.get("S3Key") is None):
            raise refusals.invalid("Please provide a source for function code: ZipFile, or S3Bucket with S3Key.")
        if given is not None:
            return await asyncio.to_thread(base64.b64decode, given)
        name = ObjectName(code["S3Bucket"], code["S3Key"])
        if not reaches_object(maker.reach, name, self._home):
            raise outside_object(maker.reach, name)
        return await self._fetched(name)

    async def _fetched(self, name: ObjectName) -> Path:
        """A copy of an object in a file of ours."""
        try:
            reading = await self._objects.read(name)
        except (NoSuchBucket, NoSuchObject):
            raise refusals.invalid(
                f"Error occurred while GetObject. S3 Error Code: NoSuchKey. There is no object {name.uri}."
            ) from None
        if reading.length > LAMBDA_CODE_BYTES_MAX:
            await reading.close()
            raise refusals.invalid(f"The code is larger than {LAMBDA_CODE_BYTES_MAX} bytes.")
        path = self._uploads / f"{uuid.uuid4()}.zip"
        with path.open("xb") as file:
            async for chunk in reading.chunks:
                await asyncio.to_thread(file.write, chunk)
        return path

    async def _deployment(
        self, name: str, maker: Principal, function: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> Deployment:
        """The kept code as a package, with a manifest if it has none."""
        named = await self._layers.objects(function.get("Layers", []), maker)
        zipped = [await self._fetched(one) for one in (_code(name), *named)]
        package = self._uploads / f"{uuid.uuid4()}.tar.gz"
        try:
            added = {made.MANIFEST: made.manifest(function)}
            await asyncio.to_thread(tar_of_zip, zipped[0], package, added, zipped[1:])
        except Unproven as error:
            package.unlink(missing_ok=True)
            raise refusals.invalid(f"Could not unzip uploaded file. {error.message}") from None
        finally:
            for one in zipped:
                one.unlink(missing_ok=True)
        return Deployment(
            endpoint_name=name,
            owner=maker.owner,
            reach=maker.reach,
            package=package,
            label=f"{name}.zip",
            settings=settings,
            marks={made.MARK: json.loads(json.dumps(function))},
            on_disk_temporary=True,
        )

    async def _ordered(self, ordering: Any, function_arn: str) -> Endpoint:
        try:
            endpoint: Endpoint = await ordering
        except (BadInput, Conflict, Busy) as error:
            raise refusals.refused_change(error, function_arn) from None
        except SeatrialError as error:
            raise refusals.refusal(error, function_arn) from None
        return endpoint


def _code(name: str) -> ObjectName:
    return ObjectName(BUCKET, f"{name}.zip")
