"""SageMaker's control plane: its documents and answers, and what they mean for a deployment.

Shapes are those of botocore's service model of 2017-07-24. Models and endpoint configurations are kept as they were
given; an endpoint keeps in its marks, for each version, the configuration that the version came from.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from seatrial.domain.endpoint import CanaryPolicy, Endpoint, EndpointStatus, EndpointVersion, UpdateWay
from seatrial.domain.limits import AWS_LIST_PAGE_DEFAULT, CANARY_MINUTES_MAX, WORKERS_PER_ENDPOINT_MAX
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects.aws_errors import AwsError

MODEL = "model"
ENDPOINT_CONFIG = "endpoint-config"
ENDPOINT = "endpoint"
_SPOKEN = {MODEL: "model", ENDPOINT_CONFIG: "endpoint configuration", ENDPOINT: "endpoint"}

TAG_UNPROVEN = "seatrial:unproven"
TAG_SAMPLES = "seatrial:samples"
TAG_WORKERS = "seatrial:workers"
TAG_DEVICE = "seatrial:device"
TAG_DEDUPLICATE = "seatrial:deduplicate-inference-id"
TAG_UPDATE = "seatrial:update"
TAG_CANARY_MINUTES = "seatrial:canary-minutes"
TAG_CANARY_POLICY = "seatrial:canary-policy"
TAG_WEBHOOK = "seatrial:webhook"

Word = TypeVar("Word", bound=StrEnum)

DEVICES = ("cpu", "cuda")
VARIANT_DEFAULT = "AllTraffic"
_CONFIGS = "endpoint_configs"  # in an endpoint's marks: version number -> its configuration


@dataclass(frozen=True, slots=True)
class Plan:
    """What a model and an endpoint configuration ask for."""

    package: ObjectName
    settings: Mapping[str, Any]
    configuration: Mapping[str, Any]


# ---------------------------------------------------------------- names and errors


def arn(kind: str, name: str, region: str, account_id: str) -> str:
    """The ARN of a model, an endpoint configuration or an endpoint."""
    return f"arn:aws:sagemaker:{region}:{account_id}:{kind}/{name.lower()}"


def resource(resource_arn: str) -> str:
    """`endpoint/name` of an ARN, in lower case; the key under which tags are kept."""
    return resource_arn.split(":", 5)[-1].lower()


def invalid(message: str) -> AwsError:
    """A request that is well formed and cannot be met."""
    return AwsError("ValidationException", message)


def missing(kind: str, resource_arn: str) -> AwsError:
    """There is no such thing."""
    return invalid(f'Could not find {_SPOKEN[kind]} "{resource_arn}".')


def existing(kind: str, resource_arn: str) -> AwsError:
    """The name is taken."""
    return invalid(f'Cannot create already existing {_SPOKEN[kind]} "{resource_arn}".')


def without_config(endpoint_name: str, resource_arn: str) -> AwsError:
    """The name that DescribeEndpoint gives for an endpoint that came from no configuration."""
    return invalid(
        f'{missing(ENDPOINT_CONFIG, resource_arn).message} Endpoint "{endpoint_name}" was deployed without one, by '
        "Seatrial's own API or command line, and is described under its own name."
    )


def busy(resource_arn: str, why: str) -> AwsError:
    """The endpoint is being created, updated or deleted."""
    return invalid(f'Cannot update in-progress endpoint "{resource_arn}". {why}')


def _refuse(given: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    """Say no to what would change the behaviour and is not there: nothing is ignored silently."""
    for name in names:
        if given.get(name):
            raise invalid(f"{where}{name} is not offered here.")


# ---------------------------------------------------------------- models


def model_document(request: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """What is kept of CreateModel.

    Raises:
        AwsError: it asks for what is not offered, or names no archive.
    """
    package(request)
    if request.get("EnableNetworkIsolation"):
        raise invalid("EnableNetworkIsolation is not offered here: workers use the network of this machine.")
    return {**_without(request, "Tags"), "CreationTime": now_ms / 1000}


def package(model: Mapping[str, Any]) -> ObjectName:
    """Where the model's archive is.

    Raises:
        AwsError: no archive, several containers, or a form of model data that is not offered.
    """
    data = container(model)
    where = "PrimaryContainer."
    _refuse(data, ("ModelPackageName", "AdditionalModelDataSources", "MultiModelConfig"), where)
    if data.get("Mode") == "MultiModel":
        raise invalid("PrimaryContainer.Mode MultiModel is not offered here; valid: SingleModel.")
    if "ModelDataUrl" in data and "ModelDataSource" in data:
        raise invalid("ModelDataUrl and ModelDataSource exclude each other: give one of them.")
    if "ModelDataUrl" in data:
        return _archive(data["ModelDataUrl"], where + "ModelDataUrl")
    source = data.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        raise invalid(
            "PrimaryContainer must name a package in ModelDataUrl (s3://bucket/key.tar.gz) or ModelDataSource: "
            "an Image is kept and shown, and what runs is the package. To run an image, name it in the package's "
            'seatrial.toml: [package] image = "NAME@sha256:…".'
        )
    _refuse(source, ("HubAccessConfig", "ManifestS3Uri"), where + "ModelDataSource.S3DataSource.")
    if (source["S3DataType"], source["CompressionType"]) != ("S3Object", "Gzip"):
        raise invalid(
            "ModelDataSource.S3DataSource is offered for S3DataType S3Object with CompressionType Gzip (one .tar.gz), "
            f"not yet for {source['S3DataType']} with {source['CompressionType']}."
        )
    return _archive(source["S3Uri"], where + "ModelDataSource.S3DataSource.S3Uri")


def container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one container of a model.

    Raises:
        AwsError: none, or several.
    """
    containers: Sequence[Mapping[str, Any]] = model.get("Containers") or []
    primary: Mapping[str, Any] | None = model.get("PrimaryContainer")
    every = [*([primary] if primary is not None else []), *containers]
    if len(every) != 1:
        raise invalid(f"Exactly one container is offered here, in PrimaryContainer or Containers; given: {len(every)}.")
    return every[0]


def _archive(uri: str, where: str) -> ObjectName:
    try:
        return ObjectName.from_uri(uri)
    except ValueError:
        raise invalid(f"{where} must be of the form s3://bucket/key.tar.gz, not {uri!r}.") from None


def describe_model(document: Mapping[str, Any], model_arn: str) -> dict[str, Any]:
    """DescribeModel."""
    return {**document, "ModelArn": model_arn}


# ---------------------------------------------------------------- endpoint configurations


def config_document(request: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """What is kept of CreateEndpointConfig.

    Raises:
        AwsError: it asks for what is not offered.
    """
    _refuse(request, ("ShadowProductionVariants", "ExplainerConfig", "CrossRegionTrafficConfig"), "")
    if request.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise invalid("DataCaptureConfig.EnableCapture is not offered here.")
    if request.get("EnableNetworkIsolation"):
        raise invalid("EnableNetworkIsolation is not offered here: workers use the network of this machine.")
    variant = _only_variant(request)
    _refuse(variant, ("ServerlessConfig", "ManagedInstanceScaling"), "ProductionVariants.")
    if not variant.get("ModelName"):
        raise invalid("ProductionVariants.ModelName is required here: inference components are not offered.")
    output = request.get("AsyncInferenceConfig", {}).get("OutputConfig", {})
    for name in ("S3OutputPath", "S3FailurePath"):
        if name in output:
            prefix(output[name], name)
    return {**_without(request, "Tags"), "CreationTime": now_ms / 1000}


def _only_variant(config: Mapping[str, Any]) -> Mapping[str, Any]:
    variants: Sequence[Mapping[str, Any]] = config["ProductionVariants"]
    if len(variants) != 1:
        raise invalid(f"Exactly one ProductionVariant is offered here; given: {len(variants)}.")
    return variants[0]


def model_name(config: Mapping[str, Any]) -> str:
    """The model that a configuration deploys."""
    return str(_only_variant(config)["ModelName"])


def prefix(uri: str, where: str) -> ObjectName:
    """`s3://bucket/some/where` as the prefix `some/where/`; an empty one for a bare bucket.

    Raises:
        AwsError: not of that form.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise invalid(f"{where} must be of the form s3://bucket/prefix, not {uri!r}.")
    return ObjectName(bucket, key if not key or key.endswith("/") else key + "/")


def describe_config(document: Mapping[str, Any], config_arn: str) -> dict[str, Any]:
    """DescribeEndpointConfig."""
    return {**document, "EndpointConfigArn": config_arn}


# ---------------------------------------------------------------- deploying


def check_deployment_config(request: Mapping[str, Any]) -> None:
    """A new version is proved beside the old one, then takes over at once; other ways are refused.

    Raises:
        AwsError: another way was asked for.
    """
    wanted = request.get("DeploymentConfig", {})
    _refuse(wanted, ("RollingUpdatePolicy", "AutoRollbackConfiguration"), "DeploymentConfig.")
    routing = wanted.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    if routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise invalid(f"TrafficRoutingConfiguration.Type {routing['Type']} is not offered yet; valid: ALL_AT_ONCE.")


def _webhooks(tags: Mapping[str, str]) -> dict[str, Any]:
    """URLs that are told of every job's end, separated by spaces; whether they may be told is the door's to say."""
    urls = tuple(tags.get(TAG_WEBHOOK, "").split())
    return {"webhooks": urls} if urls else {}


def plan(config: Mapping[str, Any], model: Mapping[str, Any], tags: Mapping[str, str]) -> Plan:
    """The deployment that a configuration, its model and the endpoint's tags describe.

    Raises:
        AwsError: a tag or a number that cannot be met.
    """
    variant = _only_variant(config)
    settings: dict[str, Any] = {"workers": _workers(tags.get(TAG_WORKERS), variant.get("InitialInstanceCount", 1))}
    environment = container(model).get("Environment")
    if environment:  # absent: the package's own
        settings["env"] = dict(environment)
    load_seconds = variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
    if load_seconds is not None:
        settings["load_timeout_seconds"] = load_seconds
    if tags.get(TAG_UNPROVEN, "false").lower() == "true":
        settings["unproven"] = True
    if TAG_DEDUPLICATE in tags:
        settings["deduplicate_inference_id"] = tags[TAG_DEDUPLICATE].lower() == "true"
    if TAG_DEVICE in tags:
        settings["device"] = _device(tags[TAG_DEVICE])
    if TAG_SAMPLES in tags:
        prefix(tags[TAG_SAMPLES], f"The tag {TAG_SAMPLES}")
        settings["samples_uri"] = tags[TAG_SAMPLES]
    if TAG_UPDATE in tags:
        settings["update"] = _one_of(UpdateWay, TAG_UPDATE, tags[TAG_UPDATE])
    if TAG_CANARY_MINUTES in tags:
        settings["canary_minutes"] = _number(TAG_CANARY_MINUTES, tags[TAG_CANARY_MINUTES], CANARY_MINUTES_MAX)
    if TAG_CANARY_POLICY in tags:
        settings["canary_policy"] = _one_of(CanaryPolicy, TAG_CANARY_POLICY, tags[TAG_CANARY_POLICY])
    settings.update(_output_settings(config) | _webhooks(tags))
    configuration = {
        "name": config["EndpointConfigName"],
        "variant": variant["VariantName"],
        "weight": variant.get("InitialVariantWeight", 1.0),
        "image": container(model).get("Image"),
        "async": config.get("AsyncInferenceConfig"),
    }
    return Plan(package(model), settings, configuration)


def _output_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    output = config.get("AsyncInferenceConfig", {}).get("OutputConfig", {})
    settings = {}
    if "S3OutputPath" in output:
        settings["output_prefix"] = prefix(output["S3OutputPath"], "S3OutputPath")
    if "S3FailurePath" in output:
        settings["failure_prefix"] = prefix(output["S3FailurePath"], "S3FailurePath")
    return settings | _topic_settings(output.get("NotificationConfig", {}))


def _topic_settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """Who is told, and whether small answers are told along."""
    settings: dict[str, Any] = {}
    for kind, name in (("success", "SuccessTopic"), ("error", "ErrorTopic")):
        if name in told:
            settings[f"{kind}_topic"] = told[name]
            answers = told.get("IncludeInferenceResponseIn", ())
            settings[f"answer_to_{kind}_topic"] = f"{kind.upper()}_NOTIFICATION_TOPIC" in answers
    return settings


def _device(tag: str) -> str:
    if tag not in DEVICES:
        raise invalid(f"The tag {TAG_DEVICE} must be one of {', '.join(DEVICES)}, not {tag!r}.")
    return tag


def _workers(tag: str | None, count: int) -> int:
    if tag is not None:
        return _number(TAG_WORKERS, tag, WORKERS_PER_ENDPOINT_MAX)
    check_workers(count)
    return count


def _number(tag: str, said: str, most: int) -> int:
    if not said.isdecimal() or not 1 <= int(said) <= most:
        raise invalid(f"The tag {tag} must be a number from 1 to {most}, not {said!r}.")
    return int(said)


def _one_of(words: type[Word], tag: str, said: str) -> Word:
    try:
        return words(said)
    except ValueError:
        raise invalid(f"The tag {tag} must be one of {', '.join(words)}, not {said!r}.") from None


def check_workers(count: int) -> None:
    """Raises AwsError: more than one endpoint may have."""
    if count > WORKERS_PER_ENDPOINT_MAX:
        raise AwsError(
            "ResourceLimitExceeded",
            f"An endpoint may have {WORKERS_PER_ENDPOINT_MAX} instances (workers) at most; asked for: {count}.",
        )


def marks(configurations: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What an endpoint keeps of the configurations of its versions, by version number."""
    return {_CONFIGS: {str(number): dict(one) for number, one in configurations.items()}}


def configuration(endpoint: Endpoint, version: EndpointVersion | None) -> Mapping[str, Any]:
    """What a version came from; empty when another door deployed it."""
    kept: Mapping[str, Any] = endpoint.marks.get(_CONFIGS, {})
    return kept.get(str(version.number), {}) if version is not None else {}


def variant(endpoint: Endpoint, version: EndpointVersion | None) -> str:
    """The name of its one variant."""
    return str(configuration(endpoint, version).get("variant", VARIANT_DEFAULT))


# ---------------------------------------------------------------- endpoints


def describe_endpoint(
    endpoint: Endpoint,
    endpoint_arn: str,
    active: EndpointVersion | None,
    target: EndpointVersion | None,
    newest: EndpointVersion,
    workers: int,
) -> dict[str, Any]:
    """DescribeEndpoint; `workers` are those that are ready now. One that failed shows its newest version."""
    shown = active or target or newest
    config = configuration(endpoint, shown)
    answer: dict[str, Any] = {**endpoint_summary(endpoint, endpoint_arn)}
    answer["EndpointConfigName"] = _config_name(endpoint, config)
    answer["ProductionVariants"] = [_variant(endpoint, config, target, workers)]
    asynchronous = config.get("async") or _async_config(shown)
    if asynchronous:
        answer["AsyncInferenceConfig"] = asynchronous
    if endpoint.failure_reason:
        answer["FailureReason"] = endpoint.failure_reason
    if active is not None and target is not None:
        pending = configuration(endpoint, target)
        answer["PendingDeploymentSummary"] = {
            "EndpointConfigName": _config_name(endpoint, pending),
            "ProductionVariants": [{"VariantName": pending.get("variant", VARIANT_DEFAULT)}],
            "StartTime": target.created_at_ms / 1000,
        }
    return answer


def _config_name(endpoint: Endpoint, config: Mapping[str, Any]) -> str:
    """AWS's shape requires one: a version that another door deployed goes by the name of its endpoint."""
    return str(config.get("name", endpoint.name))


def _variant(
    endpoint: Endpoint, config: Mapping[str, Any], target: EndpointVersion | None, workers: int
) -> dict[str, Any]:
    weight = config.get("weight", 1.0)
    variant: dict[str, Any] = {
        "VariantName": config.get("variant", VARIANT_DEFAULT),
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        "CurrentInstanceCount": workers,
        "DesiredInstanceCount": endpoint.workers_desired,
    }
    if config.get("image"):
        variant["DeployedImages"] = [{"SpecifiedImage": config["image"]}]
    if statuses := _variant_statuses(endpoint, target):
        variant["VariantStatus"] = statuses
    return variant


def _variant_statuses(endpoint: Endpoint, target: EndpointVersion | None) -> list[dict[str, Any]]:
    statuses: list[dict[str, Any]] = []
    if target is not None and target.stages:
        stage = target.stages[-1]
        statuses.append(
            {
                "Status": "Creating" if endpoint.status is EndpointStatus.CREATING else "Updating",
                "StatusMessage": f"trial: {stage.stage} {stage.state}. {stage.message}"[:1024],
                "StartTime": stage.started_at_ms / 1000,
            }
        )
    if endpoint.unproven:  # of AWS's words "Baking" is nearest: it takes traffic and has yet to show itself sound
        statuses.append({"Status": "Baking", "StatusMessage": "unproven: deployed without samples"})
    return statuses


def _async_config(version: EndpointVersion | None) -> dict[str, Any] | None:
    """For an endpoint of another door: where its results go, if that was said."""
    if version is None or version.settings.output_prefix is None:
        return None
    failures = version.settings.failure_prefix or version.settings.output_prefix
    return {"OutputConfig": {"S3OutputPath": version.settings.output_prefix.uri, "S3FailurePath": failures.uri}}


def endpoint_summary(endpoint: Endpoint, endpoint_arn: str) -> dict[str, Any]:
    """An entry of ListEndpoints."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint_arn,
        "CreationTime": endpoint.created_at_ms / 1000,
        "LastModifiedTime": endpoint.modified_at_ms / 1000,
        "EndpointStatus": str(endpoint.status),
    }


# ---------------------------------------------------------------- listings


def listing(
    entries: Iterable[Mapping[str, Any]], request: Mapping[str, Any], name_key: str
) -> tuple[list[Mapping[str, Any]], str | None]:
    """The page of a List… call and its NextToken: filtered, sorted, and starting after the token's entry.

    Raises:
        AwsError: a NextToken that is none of ours.
    """
    sort_key = {"Name": name_key, "Status": "EndpointStatus"}.get(request.get("SortBy", ""), "CreationTime")
    descending = request.get("SortOrder", "Descending") == "Descending"

    def place(entry: Mapping[str, Any]) -> tuple[Any, str]:
        return entry[sort_key], entry[name_key]

    found = sorted((one for one in entries if _matches(one, request, name_key)), key=place, reverse=descending)
    if "NextToken" in request:
        last = _read_token(request["NextToken"], sort_key)
        found = [one for one in found if (place(one) < last if descending else place(one) > last)]
    count = request.get("MaxResults", AWS_LIST_PAGE_DEFAULT)
    page = found[:count]
    return page, _token(sort_key, place(page[-1])) if len(found) > count else None


def _matches(entry: Mapping[str, Any], request: Mapping[str, Any], name_key: str) -> bool:
    if request.get("NameContains", "").lower() not in entry[name_key].lower():
        return False
    if request.get("StatusEquals", entry.get("EndpointStatus")) != entry.get("EndpointStatus"):
        return False
    for key in ("CreationTime", "LastModifiedTime"):
        if entry.get(key, 0) >= request.get(f"{key}Before", float("inf")):
            return False
        if entry.get(key, 0) <= request.get(f"{key}After", float("-inf")):
            return False
    return True


def _token(sort_key: str, place: tuple[Any, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort_key, *place]).encode()).decode()


def _read_token(token: str, sort_key: str) -> tuple[Any, str]:
    try:
        key, value, name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise invalid("Invalid NextToken.") from None
    wanted = float if sort_key.endswith("Time") else str
    if key != sort_key or not isinstance(value, wanted | int) or not isinstance(name, str):
        raise invalid("Invalid NextToken: it belongs to another listing.")
    return value, name


# ---------------------------------------------------------------- tags


def unproven_tag(endpoint: Endpoint) -> dict[str, str]:
    """What ListTags adds to the kept tags: unproven shows, whichever door deployed it."""
    return {TAG_UNPROVEN: "true"} if endpoint.unproven else {}


def tags_of(pairs: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """`[{"Key": …, "Value": …}]` as a mapping."""
    return {pair["Key"]: pair["Value"] for pair in pairs}


def tag_pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as `[{"Key": …, "Value": …}]`."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _without(request: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != name}
