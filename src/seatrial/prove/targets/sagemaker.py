"""An Amazon SageMaker asynchronous endpoint, or what speaks like one, by boto3.

boto3 finds credentials, region and service addresses as ever: profiles, roles, AWS_ENDPOINT_URL, and one by one
AWS_ENDPOINT_URL_SAGEMAKER, …_SAGEMAKER_RUNTIME, …_S3, …_CLOUDWATCH_LOGS, …_APPLICATION_AUTO_SCALING.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from seatrial.prove.limits import (
    FAILURES_LISTED_MAX,
    LOG_LINES_MAX,
    SAGEMAKER_CONNECTIONS_MAX,
    TARGET_ANSWER_BYTES_MAX,
    TARGET_ANSWER_SECONDS_MAX,
    TARGET_CONNECT_SECONDS_MAX,
)
from seatrial.prove.request import Request, SentFile, Source
from seatrial.prove.targets.answer import Answer, Part, State, failure_of
from seatrial.prove.targets.base import Wire, elapsed, poll
from seatrial.prove.targets.references import Reference, references_in
from seatrial.prove.targets.spelling import body_of
from seatrial.prove.targets.target import Cleaned, Description, Health, LogLine, Scaling, Ticket
from seatrial.prove.targets.trouble import (
    BadTarget,
    Forbidden,
    NotOffered,
    Refused,
    TargetTrouble,
    Unknown,
    Unreachable,
)

_CAN = (Source.URI, Source.BASE64, Source.DATA_URL, Source.KEY)
_DENIED = ("AccessDenied", "Forbidden", "403", "UnrecognizedClient", "InvalidClientTokenId", "SignatureDoesNotMatch",
           "ExpiredToken", "InvalidAccessKeyId", "InvalidSignature", "NotAuthorized")  # fmt: skip
_WRONG_KEYS = ("UnrecognizedClient", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken",
               "InvalidAccessKeyId", "InvalidSignature")  # fmt: skip
_KEYS = "the access key, its secret or its session token is wrong or out of date: aws sts get-caller-identity tells"
_MISSING = ("NoSuchKey", "404", "NotFound", "ResourceNotFound", "NoSuchBucket")
_NOT_OFFERED = ("UnknownOperation", "NotImplemented", "InvalidAction", "UnsupportedOperation")
_TTL_SECONDS = (1, 3600)  # InvocationTimeoutSeconds
_INPUTS = "seatrial-verify"
_READ = "s3:GetObject and s3:ListBucket"
_WITHOUT_CONFIGURATION = (
    "say where inputs go with --inputs s3://BUCKET/PREFIX; a Seatrial server's are seatrial:NAME too"
)


class SageMakerTarget(Wire):
    """Inputs are stored below `inputs` (`s3://bucket/prefix`), else below `seatrial-verify/` beside the outputs."""

    wire = "sagemaker"

    def __init__(self, name: str, region: str | None, inputs: str | None) -> None:
        self.name = name
        self._run = uuid.uuid4().hex[:12]
        self._inputs = inputs
        self._config: Mapping[str, Any] | None = None
        self._beside: dict[str, tuple[str, ...]] = {}  # parts that lie beside an answer, by its location
        sagemaker, runtime, s3, logs, scaling = _clients(region)
        self._sagemaker, self._runtime, self._s3, self._logs, self._scaling = sagemaker, runtime, s3, logs, scaling

    # ------------------------------------------------------------------ what it is

    def describe(self) -> Description:
        told = _asked(self._sagemaker.describe_endpoint, "sagemaker:DescribeEndpoint", EndpointName=self.name)
        variants = told.get("ProductionVariants", [])
        ready = sum(one.get("CurrentInstanceCount", 0) for one in variants)
        wanted = sum(one.get("DesiredInstanceCount", one.get("CurrentInstanceCount", 0)) for one in variants)
        counted = any("CurrentInstanceCount" in one for one in variants)
        return Description(
            name=self.name,
            status=told["EndpointStatus"],
            in_service=told["EndpointStatus"] in ("InService", "Updating", "RollingBack", "SystemUpdating"),
            reason=told.get("FailureReason", ""),
            unproven=any(_is_unproven(one) for one in variants),
            since=told["LastModifiedTime"].timestamp(),
            created=told["CreationTime"].timestamp(),
            starting=told["EndpointStatus"] == "Creating",
            workers_ready=ready if counted else None,
            workers_wanted=wanted if counted else None,
            evidence={
                "endpoint_arn": told["EndpointArn"],
                "endpoint_config": told.get("EndpointConfigName"),
                "status": told["EndpointStatus"],
                "variants": [one["VariantName"] for one in variants],
            },
        )

    def health(self) -> Health:
        told = self.describe()
        if not told.in_service:
            return Health(False, f"the endpoint is {told.status}")
        if told.workers_ready is None:
            raise NotOffered("DescribeEndpoint tells no instances, and SageMaker's /ping cannot be asked from outside")
        counts = {"instances_ready": told.workers_ready, "instances_wanted": told.workers_wanted}
        words = f"{told.workers_ready} of {told.workers_wanted} instances pass SageMaker's health check (/ping)"
        return Health(told.workers_ready >= (told.workers_wanted or 0), words, counts)

    # ------------------------------------------------------------------ requests

    def calls_back(self, request: Request) -> bool:
        return False  # SageMaker tells SNS topics, which the endpoint's configuration names

    def submit(self, request: Request) -> Ticket:
        created: list[str] = []
        body = body_of(request, _CAN, lambda file: self._keep(file, request.label, created))
        key = self._put(f"{request.label}.json", body, request.media_type, created)
        bucket, _ = self._input_place()
        options: dict[str, Any] = {"ContentType": request.media_type}
        if request.timeout_seconds:
            least, most = _TTL_SECONDS
            options["InvocationTimeoutSeconds"] = min(max(int(request.timeout_seconds), least), most)
        if request.id:
            options["InferenceId"] = request.id
        submitted_at = time.monotonic()
        try:
            told = _asked(
                self._runtime.invoke_endpoint_async,
                "sagemaker:InvokeEndpointAsync",
                EndpointName=self.name,
                InputLocation=f"s3://{bucket}/{key}",
                **options,
            )
        except TargetTrouble:
            self._remove(created)
            raise
        evidence = {"inference_id": told["InferenceId"], "output": told["OutputLocation"]}
        evidence |= {"failure": told["FailureLocation"]} if told.get("FailureLocation") else {}
        return Ticket(
            id=told["InferenceId"],
            submitted_at=submitted_at,
            request=request,
            created=tuple(created),
            evidence=evidence,
        )

    def wait(self, ticket: Ticket, seconds: float) -> Answer:
        return poll(ticket, seconds, lambda: self._look(ticket))

    def _look(self, ticket: Ticket) -> Answer | None:
        output, failure = ticket.evidence["output"], ticket.evidence.get("failure")
        part = self._read("result", output)
        if part is not None:
            seconds = elapsed(ticket)
            parts = (part, *self._referred(part))
            return Answer(state=State.SUCCEEDED, seconds=seconds, parts=parts, evidence=ticket.evidence)
        part = self._read("failure", failure) if failure else None
        if part is None:
            return None
        try:
            document = part.document()
        except ValueError:
            document = None
        said = failure_of(document, part.data[:2000].decode(errors="replace"))
        return Answer(state=State.FAILED, seconds=elapsed(ticket), failure=said, evidence=ticket.evidence)

    def _referred(self, answer: Part) -> list[Part]:
        """The parts of an answer that lie in objects of their own; those beside it are its own, and cleaned up."""
        found = references_in(answer)
        self._beside[answer.location] = tuple(one.uri for one in found if one.is_beside(answer.location))
        return [self._part(one) for one in found]

    def _part(self, reference: Reference) -> Part:
        part = self._read(reference.name, reference.uri, reference.size_bytes)
        if part is None:
            raise Unknown(f"the answer's part {reference.name} is not there: {reference.uri}")
        return replace(part, media_type=reference.media_type, sha256=reference.sha256)

    def status(self, job_id: str) -> str:
        """SageMaker has no status of a job: what is asked is its output's name, as clients do."""
        place = self._output_config().get("S3OutputPath", "")
        bucket, key = split(f"{place.rstrip('/')}/{job_id}.out")
        _asked(self._s3.head_object, _READ, Bucket=bucket, Key=key)
        return "there is an output of that name"

    # ------------------------------------------------------------------ what it leaves and says

    def logs(self, since: float, until: float | None = None) -> Sequence[LogLine]:
        lines: list[LogLine] = []
        given: dict[str, Any] = {"endTime": int(until * 1000)} if until is not None else {}
        while len(lines) < LOG_LINES_MAX:
            page = _asked(
                self._logs.filter_log_events,
                "logs:FilterLogEvents",
                logGroupName=f"/aws/sagemaker/Endpoints/{self.name}",
                startTime=int(since * 1000),
                **given,
            )
            lines += [LogLine(one["timestamp"] / 1000, one["message"]) for one in page["events"]]
            if not page.get("nextToken"):
                break
            given["nextToken"] = page["nextToken"]
        return sorted(lines, key=lambda line: line.at)

    def failures(self) -> frozenset[str]:
        place = self._output_config().get("S3FailurePath")
        if not place:
            raise NotOffered("the endpoint configuration names no S3FailurePath: failures leave nothing in S3")
        bucket, prefix = split(place.rstrip("/") + "/")
        found: set[str] = set()
        given: dict[str, Any] = {}
        while True:
            page = _asked(self._s3.list_objects_v2, "s3:ListBucket", Bucket=bucket, Prefix=prefix, **given)
            found |= {f"s3://{bucket}/{one['Key']}" for one in page.get("Contents", [])}
            if not page.get("NextContinuationToken"):
                return frozenset(found)
            if len(found) > FAILURES_LISTED_MAX:
                raise NotOffered(f"{place} holds more than {FAILURES_LISTED_MAX:,} objects: too many to compare")
            given["ContinuationToken"] = page["NextContinuationToken"]

    def failure_of(self, ticket: Ticket) -> str:
        return str(ticket.evidence.get("failure", ""))

    def scaling(self) -> Sequence[Scaling]:
        variants = self.describe().evidence["variants"]
        resources = [f"endpoint/{self.name}/variant/{variant}" for variant in variants]
        targets = _asked(
            self._scaling.describe_scalable_targets,
            "application-autoscaling:DescribeScalableTargets",
            ServiceNamespace="sagemaker",
            ResourceIds=resources,
        )["ScalableTargets"]
        return [self._scaled(one) for one in targets if one["ResourceId"] in resources]

    def _scaled(self, target: Mapping[str, Any]) -> Scaling:
        policies = _asked(
            self._scaling.describe_scaling_policies,
            "application-autoscaling:DescribeScalingPolicies",
            ServiceNamespace="sagemaker",
            ResourceId=target["ResourceId"],
        )["ScalingPolicies"]
        return Scaling(
            resource=target["ResourceId"],
            minimum=target["MinCapacity"],
            maximum=target["MaxCapacity"],
            policies=tuple(one["PolicyName"] for one in policies),
            metrics=tuple(sorted({metric for one in policies for metric in _metrics(one)})),
        )

    def needs(self) -> Sequence[str]:
        try:
            inputs = "s3://{}/{}/*".format(*self._input_place())
            outputs = self._output_config()
        except TargetTrouble:  # needed before anything can be asked
            inputs, outputs = "the input location", {"S3OutputPath": "the output and the failure location"}
        places = [one for one in (outputs.get("S3OutputPath"), outputs.get("S3FailurePath")) if one]
        return [
            f"sagemaker:DescribeEndpoint, DescribeEndpointConfig and InvokeEndpointAsync on {self.name}",
            f"s3:PutObject, s3:DeleteObject on {inputs}",
            f"s3:GetObject, s3:ListBucket, s3:DeleteObject on {', '.join(places)}",
            f"logs:FilterLogEvents on /aws/sagemaker/Endpoints/{self.name}",
            "application-autoscaling:DescribeScalableTargets, application-autoscaling:DescribeScalingPolicies",
        ]

    def clean(self, tickets: Sequence[Ticket]) -> Cleaned:
        names = [name for ticket in tickets for name in ticket.created]
        names += [ticket.evidence[key] for ticket in tickets for key in ("output", "failure") if key in ticket.evidence]
        names += [name for ticket in tickets for name in self._beside.pop(ticket.evidence.get("output", ""), ())]
        removed, left, reason = self._remove(names)
        return Cleaned(tuple(removed), tuple(left), reason)

    # ------------------------------------------------------------------ objects

    def _input_place(self) -> tuple[str, str]:
        if self._inputs:
            bucket, prefix = split(self._inputs)
        else:
            bucket, _ = split(self._output_config().get("S3OutputPath", ""))
            prefix = _INPUTS
        return bucket, f"{prefix.rstrip('/')}/{self._run}".lstrip("/")

    def _output_config(self) -> Mapping[str, Any]:
        if self._config is None:
            named = self.describe().evidence["endpoint_config"]
            try:
                told = _asked(
                    self._sagemaker.describe_endpoint_config,
                    "sagemaker:DescribeEndpointConfig",
                    EndpointConfigName=named,
                )
            except Unknown as unknown:  # the endpoint is there: it must not look like a job or an endpoint that is not
                words = (
                    f"its configuration {named!r} cannot be found, which says where outputs and failures go: {unknown}"
                )
                raise NotOffered(words, _WITHOUT_CONFIGURATION) from None
            self._config = told.get("AsyncInferenceConfig", {}).get("OutputConfig", {})
            if not self._config.get("S3OutputPath"):
                raise BadTarget(
                    f"{self.name} is no asynchronous endpoint: its configuration has no S3OutputPath",
                    "verify endpoints that were created with an AsyncInferenceConfig",
                )
        return self._config

    def _keep(self, file: SentFile, label: str, created: list[str]) -> tuple[str, str]:
        bucket, _ = self._input_place()
        return bucket, self._put(f"{label}-{file.field}-{file.name}", file.data, file.media_type, created)

    def _put(self, name: str, data: bytes, media_type: str, created: list[str]) -> str:
        bucket, prefix = self._input_place()
        key = f"{prefix}/{uuid.uuid4().hex[:8]}-{name}"
        _asked(self._s3.put_object, "s3:PutObject", Bucket=bucket, Key=key, Body=data, ContentType=media_type)
        created.append(f"s3://{bucket}/{key}")
        return key

    def _read(self, name: str, location: str, most: int = TARGET_ANSWER_BYTES_MAX) -> Part | None:
        bucket, key = split(location)
        try:
            told = _asked(self._s3.get_object, _READ, Bucket=bucket, Key=key)
        except Unknown:
            return None
        if told["ContentLength"] > most:
            raise Unreachable(f"{location} has {told['ContentLength']:,} bytes; {most:,} are read")
        data = _asked(told["Body"].read, _READ)
        return Part(name, data, told.get("ContentType", "application/octet-stream"), location)

    def _remove(self, names: Sequence[str]) -> tuple[list[str], list[str], str]:
        """What was removed, what could not be, and why. A name without an object is neither."""
        removed, left, reason = [], [], ""
        for name in names:
            bucket, key = split(name)
            try:
                _asked(self._s3.head_object, _READ, Bucket=bucket, Key=key)
                _asked(self._s3.delete_object, "s3:DeleteObject", Bucket=bucket, Key=key)
                removed.append(name)
            except Unknown:
                continue
            except TargetTrouble as trouble:
                left.append(name)
                reason = str(trouble)
        return removed, left, reason


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`.

    Raises:
        BadTarget: it is none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise BadTarget(f"{uri!r} is not s3://bucket/key")
    return bucket, key


def _clients(region: str | None) -> list[Any]:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError:
        raise BadTarget("boto3 is not installed, and sagemaker: needs it", "pip install 'seatrial[aws]'") from None
    config = Config(
        connect_timeout=TARGET_CONNECT_SECONDS_MAX,
        read_timeout=TARGET_ANSWER_SECONDS_MAX,
        max_pool_connections=SAGEMAKER_CONNECTIONS_MAX,
        s3={"addressing_style": "path"} if _is_own_s3() else None,
    )
    services = ("sagemaker", "sagemaker-runtime", "s3", "logs", "application-autoscaling")
    try:
        session = boto3.session.Session(region_name=region)
        return [session.client(service, config=config) for service in services]  # type: ignore[call-overload]
    except (BotoCoreError, ValueError) as error:
        remedy = "name the region, sagemaker:ENDPOINT@us-east-1, or set AWS_DEFAULT_REGION"
        raise BadTarget(f"boto3 cannot be set up: {error}", remedy) from None


def _asked(call: Callable[..., Any], permission: str, /, **how: Any) -> Any:
    """What a call of boto3 answers, its errors told apart."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        return call(**how)
    except (NoCredentialsError, PartialCredentialsError) as error:
        remedy = "aws configure, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise Forbidden(f"boto3 finds no credentials: {error}", remedy) from None
    except ClientError as error:
        where = f"s3://{how['Bucket']}/{how.get('Key', how.get('Prefix', ''))}: " if "Bucket" in how else ""
        raise _trouble(error.response, permission, where) from None
    except BotoCoreError as error:
        raise Unreachable(str(error), "are the region, the network and AWS_ENDPOINT_URL… right?") from None


def _trouble(response: Mapping[str, Any], permission: str, where: str) -> TargetTrouble:
    error = response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    words = f"{where}{code}: {message}"
    if any(code.startswith(one) for one in _DENIED) or status == 403:
        return Forbidden(words, _KEYS if any(code.startswith(one) for one in _WRONG_KEYS) else f"grant {permission}")
    if any(code.startswith(one) for one in _MISSING) or (code == "ValidationException" and "ould not find" in message):
        return Unknown(words)
    if any(code.startswith(one) for one in _NOT_OFFERED) or status == 501:
        return NotOffered(words)
    return Refused(status, failure_of({"error_type": code, "message": message}))


def _is_unproven(variant: Mapping[str, Any]) -> bool:
    """Whether a Seatrial server says so of it; Amazon never does."""
    return any(one.get("StatusMessage", "").startswith("unproven") for one in variant.get("VariantStatus", []))


def _metrics(policy: Mapping[str, Any]) -> list[str]:
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration", {})
    named = [
        tracking.get("CustomizedMetricSpecification", {}).get("MetricName"),
        tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType"),
        *(alarm.get("AlarmName") for alarm in policy.get("Alarms", [])),
    ]
    return [str(one) for one in named if one]


def _is_own_s3() -> bool:
    """Whether S3 is not Amazon's own: then buckets are no host names."""
    import os

    return bool(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))
