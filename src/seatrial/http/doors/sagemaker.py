"""SageMaker's control plane: models and endpoint configurations are documents, endpoints are deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from seatrial.domain.access import outside_object, reaches_object, require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.delivery import read_webhooks
from seatrial.domain.endpoint import Endpoint, EndpointVersion
from seatrial.domain.errors import BadInput, Conflict, NotFound
from seatrial.domain.objects import ObjectName
from seatrial.engine.deploy import Deployment
from seatrial.http import aws_json
from seatrial.http.aws_json import Operation
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects import sagemaker as dialect
from seatrial.http.dialects.sagemaker import ENDPOINT, ENDPOINT_CONFIG, MODEL
from seatrial.http.services import Services
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject
from seatrial.ports.registry import AlreadyThere, NotThere

_DOCUMENTS = {MODEL: "sagemaker.model", ENDPOINT_CONFIG: "sagemaker.endpoint-config"}
_DEPLOY, _LOOK = (KeyScope.DEPLOY,), (KeyScope.READ, KeyScope.DEPLOY)
_MAKER = "SeatrialKey"  # in a document: the key that made it
_TAGS = "sagemaker.tags"  # a document for each tagged thing, by `endpoint/name`

Request = dict[str, Any]


class SageMakerDoor:
    """One method for each operation that is offered."""

    def __init__(self, services: Services) -> None:
        self._shapes = ServiceShapes("sagemaker")
        self._deployer = services.deployer
        self._topics = services.topics
        self._receivers = services.receivers
        self._registry = services.registry
        self._objects = services.objects
        self._home = services.home
        self._clock = services.clock
        self._account_id = services.keyring.credentials.account_id
        self._tagging = asyncio.Lock()
        self._operations: Mapping[str, Operation] = {
            "CreateModel": Operation(self._create_model, _DEPLOY),
            "DescribeModel": Operation(self._describe_model, _LOOK),
            "DeleteModel": Operation(self._delete_model, _DEPLOY),
            "ListModels": Operation(self._list_models, _LOOK),
            "CreateEndpointConfig": Operation(self._create_config, _DEPLOY),
            "DescribeEndpointConfig": Operation(self._describe_config, _LOOK),
            "DeleteEndpointConfig": Operation(self._delete_config, _DEPLOY),
            "ListEndpointConfigs": Operation(self._list_configs, _LOOK),
            "CreateEndpoint": Operation(self._create_endpoint, _DEPLOY, "EndpointName"),
            "DescribeEndpoint": Operation(self._describe_endpoint, _LOOK, "EndpointName"),
            "UpdateEndpoint": Operation(self._update_endpoint, _DEPLOY, "EndpointName"),
            "UpdateEndpointWeightsAndCapacities": Operation(self._scale_endpoint, _DEPLOY, "EndpointName"),
            "DeleteEndpoint": Operation(self._delete_endpoint, _DEPLOY, "EndpointName"),
            "ListEndpoints": Operation(self._list_endpoints, _LOOK),
            "AddTags": Operation(self._add_tags, _DEPLOY),
            "DeleteTags": Operation(self._delete_tags, _DEPLOY),
            "ListTags": Operation(self._list_tags, _LOOK),
        }

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError."""
        try:
            return await aws_json.serve(call, self._shapes, self._operations, "ValidationException")
        except BadInput as error:
            raise dialect.invalid(error.sentence) from None

    # ------------------------------------------------------------------ models

    async def _create_model(self, call: AwsRequest, request: Request) -> Request:
        document = dialect.model_document(request, self._clock.now_ms())
        archive = dialect.package(request)
        self._check_object(call, archive)
        try:
            await self._objects.head(archive)
        except (NoSuchBucket, NoSuchObject):
            raise dialect.invalid(
                f"Could not access model data at {archive.uri}: there is no such object. Upload it first."
            ) from None
        return {"ModelArn": await self._put(call, MODEL, request["ModelName"], document, request)}

    async def _describe_model(self, call: AwsRequest, request: Request) -> Request:
        name = request["ModelName"]
        return dialect.describe_model(await self._document(call, MODEL, name), self._arn(call, MODEL, name))

    async def _delete_model(self, call: AwsRequest, request: Request) -> None:
        await self._remove(call, MODEL, request["ModelName"])

    async def _list_models(self, call: AwsRequest, request: Request) -> Request:
        return await self._list_documents(call, request, MODEL, "Model")

    # ------------------------------------------------------------------ endpoint configurations

    async def _create_config(self, call: AwsRequest, request: Request) -> Request:
        document = dialect.config_document(request, self._clock.now_ms())
        await self._document(call, MODEL, dialect.model_name(document))
        return {
            "EndpointConfigArn": await self._put(
                call, ENDPOINT_CONFIG, request["EndpointConfigName"], document, request
            )
        }

    async def _describe_config(self, call: AwsRequest, request: Request) -> Request:
        name = request["EndpointConfigName"]
        config_arn = self._arn(call, ENDPOINT_CONFIG, name)
        document = await self._kept(call, ENDPOINT_CONFIG, name)
        if document is not None:
            return dialect.describe_config(document, config_arn)
        for endpoint in await self._deployer.endpoints():
            if endpoint.name != name or not call.principal.reaches(name):
                continue
            newest = (await self._deployer.versions(name))[-1]
            version = await self._version(endpoint.active_version or endpoint.target_version) or newest
            if not dialect.configuration(endpoint, version):
                raise dialect.without_config(name, config_arn)
        raise dialect.missing(ENDPOINT_CONFIG, config_arn)

    async def _delete_config(self, call: AwsRequest, request: Request) -> None:
        await self._remove(call, ENDPOINT_CONFIG, request["EndpointConfigName"])

    async def _list_configs(self, call: AwsRequest, request: Request) -> Request:
        return await self._list_documents(call, request, ENDPOINT_CONFIG, "EndpointConfig")

    # ------------------------------------------------------------------ endpoints

    async def _create_endpoint(self, call: AwsRequest, request: Request) -> Request:
        name = request["EndpointName"]
        endpoint_arn = self._arn(call, ENDPOINT, name)
        dialect.check_deployment_config(request)
        if any(one.name.lower() == name.lower() for one in await self._deployer.endpoints()):
            raise dialect.existing(ENDPOINT, endpoint_arn)
        tags = dialect.tags_of(request.get("Tags", ()))
        plan = await self._plan(call, request["EndpointConfigName"], tags)
        marks = dialect.marks({1: plan.configuration})
        try:
            await self._deployer.create(self._deployment(call, name, plan, marks))
        except Conflict:
            raise dialect.existing(ENDPOINT, endpoint_arn) from None
        await self._save_tags(endpoint_arn, tags)
        return {"EndpointArn": endpoint_arn}

    async def _describe_endpoint(self, call: AwsRequest, request: Request) -> Request:
        endpoint = await self._endpoint(call, request["EndpointName"])
        return dialect.describe_endpoint(
            endpoint,
            self._arn(call, ENDPOINT, endpoint.name),
            await self._version(endpoint.active_version),
            await self._version(endpoint.target_version),
            (await self._deployer.versions(endpoint.name))[-1],
            self._deployer.workers(endpoint.name),
        )

    async def _update_endpoint(self, call: AwsRequest, request: Request) -> Request:
        endpoint = await self._endpoint(call, request["EndpointName"])
        endpoint_arn = self._arn(call, ENDPOINT, endpoint.name)
        dialect.check_deployment_config(request)
        plan = await self._plan(call, request["EndpointConfigName"], await self._tags(endpoint_arn))
        if request.get("RetainAllVariantProperties"):
            settings = {**plan.settings, "workers": endpoint.workers_desired}
            plan = dialect.Plan(plan.package, settings, plan.configuration)
        versions = await self._deployer.versions(endpoint.name)
        kept = {
            one.number: dialect.configuration(endpoint, one) for one in versions if one.id == endpoint.active_version
        }
        marks = dialect.marks({**kept, len(versions) + 1: plan.configuration})
        try:
            await self._deployer.update(self._deployment(call, endpoint.name, plan, marks))
        except Conflict as error:
            raise dialect.busy(endpoint_arn, error.message) from None
        except NotFound:
            raise dialect.missing(ENDPOINT, endpoint_arn) from None
        return {"EndpointArn": endpoint_arn}

    async def _scale_endpoint(self, call: AwsRequest, request: Request) -> Request:
        endpoint = await self._endpoint(call, request["EndpointName"])
        version = await self._version(endpoint.active_version)
        variant = dialect.variant(endpoint, version)
        for wanted in request["DesiredWeightsAndCapacities"]:
            if wanted["VariantName"] != variant:
                raise dialect.invalid(f"There is no variant {wanted['VariantName']!r}; valid: {variant!r}.")
            count = wanted.get("DesiredInstanceCount")
            if count is not None:
                dialect.check_workers(count)
                await self._deployer.scale(endpoint.name, count)
        return {"EndpointArn": self._arn(call, ENDPOINT, endpoint.name)}

    async def _delete_endpoint(self, call: AwsRequest, request: Request) -> None:
        name = request["EndpointName"]
        endpoint_arn = self._arn(call, ENDPOINT, name)
        try:
            await self._deployer.delete(name)
        except NotFound:
            raise dialect.missing(ENDPOINT, endpoint_arn) from None
        await self._save_tags(endpoint_arn, {})

    async def _list_endpoints(self, call: AwsRequest, request: Request) -> Request:
        endpoints = [one for one in await self._deployer.endpoints() if call.principal.reaches(one.name)]
        entries = [dialect.endpoint_summary(one, self._arn(call, ENDPOINT, one.name)) for one in endpoints]
        page, token = dialect.listing(entries, request, "EndpointName")
        return {"Endpoints": page, **({"NextToken": token} if token else {})}

    # ------------------------------------------------------------------ tags

    async def _add_tags(self, call: AwsRequest, request: Request) -> Request:
        await self._check_resource(call, request["ResourceArn"])
        async with self._tagging:
            tags = await self._tags(request["ResourceArn"]) | dialect.tags_of(request["Tags"])
            await self._save_tags(request["ResourceArn"], tags)
        return {"Tags": dialect.tag_pairs(tags)}

    async def _delete_tags(self, call: AwsRequest, request: Request) -> Request:
        await self._check_resource(call, request["ResourceArn"])
        async with self._tagging:
            tags = await self._tags(request["ResourceArn"])
            left = {key: value for key, value in tags.items() if key not in request["TagKeys"]}
            await self._save_tags(request["ResourceArn"], left)
        return {}

    async def _list_tags(self, call: AwsRequest, request: Request) -> Request:
        resource_arn = request["ResourceArn"]
        await self._check_resource(call, resource_arn)
        tags = await self._tags(resource_arn)
        for endpoint in await self._deployer.endpoints():
            if dialect.resource(self._arn(call, ENDPOINT, endpoint.name)) == dialect.resource(resource_arn):
                tags |= dialect.unproven_tag(endpoint)
        return {"Tags": dialect.tag_pairs(tags)}

    async def _check_resource(self, call: AwsRequest, resource_arn: str) -> None:
        kind, _, name = dialect.resource(resource_arn).partition("/")
        if kind == ENDPOINT:
            require(call.principal, *_LOOK, endpoint=name)
            names = [one.name for one in await self._deployer.endpoints()]
        elif kind in _DOCUMENTS:
            names = [one for one, _ in await self._all_kept(call, kind)]
        else:
            raise dialect.invalid(f"Tags of {kind!r} are not offered here; valid: endpoint, endpoint-config, model.")
        if name not in {one.lower() for one in names}:
            raise dialect.missing(kind, resource_arn)

    async def _tags(self, resource_arn: str) -> dict[str, str]:
        return dict(await self._registry.document(_TAGS, dialect.resource(resource_arn)) or {})

    async def _save_tags(self, resource_arn: str, tags: Mapping[str, str]) -> None:
        name = dialect.resource(resource_arn)
        if await self._registry.document(_TAGS, name) is not None:
            await self._registry.remove_document(_TAGS, name)
        if tags:
            await self._registry.put_document(_TAGS, name, tags, self._clock.now_ms())

    # ------------------------------------------------------------------ documents

    async def _put(self, call: AwsRequest, kind: str, name: str, document: Mapping[str, Any], request: Request) -> str:
        """Keep a document and its tags; its ARN."""
        resource_arn = self._arn(call, kind, name)
        try:
            kept = {**document, _MAKER: call.principal.key_id}
            await self._registry.put_document(_DOCUMENTS[kind], name, kept, self._clock.now_ms())
        except AlreadyThere:
            raise dialect.existing(kind, resource_arn) from None
        await self._save_tags(resource_arn, dialect.tags_of(request.get("Tags", ())))
        return resource_arn

    async def _document(self, call: AwsRequest, kind: str, name: str) -> Mapping[str, Any]:
        document = await self._kept(call, kind, name)
        if document is None:
            raise dialect.missing(kind, self._arn(call, kind, name))
        return document

    async def _kept(self, call: AwsRequest, kind: str, name: str) -> Mapping[str, Any] | None:
        """A document that the caller may know of. Models and configurations are no endpoint's: who does not reach
        everything knows of those that its own key made."""
        document = await self._registry.document(_DOCUMENTS[kind], name)
        return _shown(document) if document is not None and _is_known(call, document) else None

    async def _all_kept(self, call: AwsRequest, kind: str) -> list[tuple[str, Mapping[str, Any]]]:
        found = await self._registry.documents(_DOCUMENTS[kind])
        return [(name, _shown(document)) for name, document in found if _is_known(call, document)]

    async def _remove(self, call: AwsRequest, kind: str, name: str) -> None:
        resource_arn = self._arn(call, kind, name)
        await self._document(call, kind, name)
        try:
            await self._registry.remove_document(_DOCUMENTS[kind], name)
        except NotThere:
            raise dialect.missing(kind, resource_arn) from None
        await self._save_tags(resource_arn, {})

    async def _list_documents(self, call: AwsRequest, request: Request, kind: str, word: str) -> Request:
        entries = [
            {
                f"{word}Name": name,
                f"{word}Arn": self._arn(call, kind, name),
                "CreationTime": document["CreationTime"],
            }
            for name, document in await self._all_kept(call, kind)
        ]
        page, token = dialect.listing(entries, request, f"{word}Name")
        return {f"{word}s": page, **({"NextToken": token} if token else {})}

    # ------------------------------------------------------------------ inside

    def _arn(self, call: AwsRequest, kind: str, name: str) -> str:
        return dialect.arn(kind, name, call.region, self._account_id)

    async def _endpoint(self, call: AwsRequest, name: str) -> Endpoint:
        try:
            return await self._deployer.endpoint(name)
        except NotFound:
            raise dialect.missing(ENDPOINT, self._arn(call, ENDPOINT, name)) from None

    async def _version(self, version_id: str | None) -> EndpointVersion | None:
        return None if version_id is None else await self._deployer.version(version_id)

    async def _plan(self, call: AwsRequest, config_name: str, tags: Mapping[str, str]) -> dialect.Plan:
        config = await self._document(call, ENDPOINT_CONFIG, config_name)
        model = await self._document(call, MODEL, dialect.model_name(config))
        plan = dialect.plan(config, model, tags)
        for name in ("output_prefix", "failure_prefix"):
            if name in plan.settings:
                self._check_object(call, plan.settings[name])
                await self._check_bucket(plan.settings[name].bucket)
        for name in ("success_topic", "error_topic"):
            if name in plan.settings:
                await self._check_topic(call.principal.owner, plan.settings[name])
        try:
            read_webhooks(plan.settings.get("webhooks", ()), allow=self._receivers, field=dialect.TAG_WEBHOOK)
        except BadInput as error:
            raise dialect.invalid(f"The tag {dialect.TAG_WEBHOOK}: {error.message}") from None
        return plan

    async def _check_topic(self, owner: str, arn: str) -> None:
        try:
            await self._topics.topic(owner, arn)
        except NotFound as error:
            where = "AsyncInferenceConfig.OutputConfig.NotificationConfig"
            raise dialect.invalid(f"{where}: {error.message} Create it first: aws sns create-topic.") from None

    def _check_object(self, call: AwsRequest, name: ObjectName) -> None:
        if not reaches_object(call.principal.reach, name, self._home):
            raise outside_object(call.principal.reach, name)

    async def _check_bucket(self, bucket: str) -> None:
        try:
            await self._objects.list(bucket, limit=1)
        except NoSuchBucket:
            raise dialect.invalid(
                f"The bucket {bucket!r} of AsyncInferenceConfig.OutputConfig does not exist: create it first."
            ) from None

    def _deployment(self, call: AwsRequest, name: str, plan: dialect.Plan, marks: Mapping[str, Any]) -> Deployment:
        return Deployment(
            endpoint_name=name,
            owner=call.principal.owner,
            reach=call.principal.reach,
            package=plan.package,
            label=plan.package.uri,
            settings=plan.settings,
            marks=marks,
        )


def _is_known(call: AwsRequest, document: Mapping[str, Any]) -> bool:
    return call.principal.reach.whole or document.get(_MAKER) == call.principal.key_id


def _shown(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in document.items() if name != _MAKER}
