"""What SageMaker's documents mean, how refusals are told, and how listings page: no server needed."""

import json
from typing import Any

import pytest
from botocore import parsers
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from seatrial.domain import errors
from seatrial.domain.endpoint import CanaryPolicy, UpdateWay
from seatrial.domain.errors import BadInput, Busy, Conflict, NotFound
from seatrial.domain.jobs import Job, JobInput, JobPurpose, JobState, OutputPlan
from seatrial.domain.objects import ObjectName
from seatrial.http.dialects import aws_errors, sagemaker
from seatrial.http.dialects import sagemaker_runtime as runtime
from seatrial.http.dialects.aws_errors import AwsError, Protocol

VARIANT = {"VariantName": "AllTraffic", "ModelName": "m", "InitialInstanceCount": 2}
CONFIG: dict[str, Any] = {"EndpointConfigName": "c", "ProductionVariants": [VARIANT]}
MODEL: dict[str, Any] = {"ModelName": "m", "PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/m.tar.gz"}}


def with_async(**output: Any) -> dict[str, Any]:
    return {**CONFIG, "AsyncInferenceConfig": {"OutputConfig": output}}


# ---------------------------------------------------------------- deployments


def test_a_configuration_becomes_the_settings_of_a_version() -> None:
    variant = {**VARIANT, "ContainerStartupHealthCheckTimeoutInSeconds": 90}
    config = {**with_async(S3OutputPath="s3://b/out", S3FailurePath="s3://b/failed/"), "ProductionVariants": [variant]}
    model = {"ModelName": "m", "PrimaryContainer": {**MODEL["PrimaryContainer"], "Environment": {"A": "b"}}}
    plan = sagemaker.plan(config, model, {"seatrial:unproven": "true", "seatrial:samples": "s3://b/samples/"})
    assert plan.package == ObjectName("b", "m.tar.gz")
    assert plan.settings == {
        "workers": 2,
        "env": {"A": "b"},
        "load_timeout_seconds": 90,
        "unproven": True,
        "samples_uri": "s3://b/samples/",
        "output_prefix": ObjectName("b", "out/"),
        "failure_prefix": ObjectName("b", "failed/"),
    }


def test_what_was_not_said_is_left_to_the_package() -> None:
    assert sagemaker.plan(CONFIG, MODEL, {}).settings == {"workers": 2}


def test_a_device_may_be_asked_for_by_a_tag() -> None:
    assert sagemaker.plan(CONFIG, MODEL, {"seatrial:device": "cuda"}).settings["device"] == "cuda"
    with pytest.raises(AwsError, match="seatrial:device must be one of cpu, cuda, not 'gpu'"):
        sagemaker.plan(CONFIG, MODEL, {"seatrial:device": "gpu"})


def test_workers_may_be_named_by_a_tag() -> None:
    assert sagemaker.plan(CONFIG, MODEL, {"seatrial:workers": "5"}).settings["workers"] == 5
    with pytest.raises(AwsError, match="must be a number from 1 to 64, not 'many'"):
        sagemaker.plan(CONFIG, MODEL, {"seatrial:workers": "many"})


def test_the_way_of_an_update_may_be_named_by_a_tag() -> None:
    assert sagemaker.plan(CONFIG, MODEL, {"seatrial:update": "replace"}).settings["update"] is UpdateWay.REPLACE
    with pytest.raises(AwsError, match="must be one of blue_green, replace, not 'rolling'"):
        sagemaker.plan(CONFIG, MODEL, {"seatrial:update": "rolling"})


def test_canaries_may_be_named_by_tags() -> None:
    plan = sagemaker.plan(CONFIG, MODEL, {"seatrial:canary-minutes": "15", "seatrial:canary-policy": "take_out"})
    assert (plan.settings["canary_minutes"], plan.settings["canary_policy"]) == (15, CanaryPolicy.TAKE_OUT)
    for tags, valid in (
        ({"seatrial:canary-minutes": "0"}, "must be a number from 1 to 10080, not '0'"),
        ({"seatrial:canary-policy": "shrug"}, "must be one of report, take_out, not 'shrug'"),
    ):
        with pytest.raises(AwsError, match=valid):
            sagemaker.plan(CONFIG, MODEL, tags)


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"Image": "i"}, "what runs is the package"),
        ({"ModelDataUrl": "https://b.s3.amazonaws.com/m.tar.gz"}, "s3://bucket/key.tar.gz"),
        ({"ModelDataUrl": "s3://b/m.tar.gz", "Mode": "MultiModel"}, "MultiModel is not offered"),
        ({"ModelPackageName": "p"}, "ModelPackageName is not offered"),
        (
            {
                "ModelDataSource": {
                    "S3DataSource": {"S3Uri": "s3://b/", "S3DataType": "S3Prefix", "CompressionType": "None"}
                }
            },
            "not yet for S3Prefix with None",
        ),
    ],
)
def test_a_model_that_cannot_be_deployed_is_refused_when_it_is_made(container: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words) as refused:
        sagemaker.model_document({"ModelName": "m", "PrimaryContainer": container}, 0)
    assert refused.value.code == "ValidationException"


def test_a_gzip_object_as_model_data_source_is_the_package() -> None:
    source = {"S3Uri": "s3://b/m.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
    assert sagemaker.package({"Containers": [{"ModelDataSource": {"S3DataSource": source}}]}) == ObjectName(
        "b", "m.tar.gz"
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**CONFIG, "ProductionVariants": [VARIANT, VARIANT]}, "Exactly one ProductionVariant"),
        ({**CONFIG, "ShadowProductionVariants": [VARIANT]}, "ShadowProductionVariants is not offered"),
        ({**CONFIG, "DataCaptureConfig": {"EnableCapture": True}}, "EnableCapture is not offered"),
        ({**CONFIG, "EnableNetworkIsolation": True}, "EnableNetworkIsolation is not offered"),
        (with_async(S3OutputPath="https://b/out"), "S3OutputPath must be of the form s3://"),
    ],
)
def test_nothing_that_is_asked_for_is_ignored_silently(config: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        sagemaker.config_document(config, 0)


@pytest.mark.parametrize(
    ("uri", "prefix"),
    [("s3://b", ""), ("s3://b/", ""), ("s3://b/out", "out/"), ("s3://b/out/", "out/"), ("s3://b/a/b", "a/b/")],
)
def test_output_paths_are_prefixes(uri: str, prefix: str) -> None:
    assert sagemaker.prefix(uri, "S3OutputPath") == ObjectName("b", prefix)


# ---------------------------------------------------------------- listings

names = st.lists(st.from_regex(r"[a-z]{1,4}", fullmatch=True), unique=True, max_size=12)


@given(
    names, st.integers(1, 5), st.sampled_from(["Name", "CreationTime"]), st.sampled_from(["Ascending", "Descending"])
)
def test_pages_put_together_are_the_whole_listing(found: list[str], size: int, sort_by: str, order: str) -> None:
    entries = [{"ModelName": name, "CreationTime": float(len(name))} for name in found]
    request: dict[str, Any] = {"SortBy": sort_by, "SortOrder": order, "MaxResults": size}
    seen: list[str] = []
    while True:
        page, token = sagemaker.listing(entries, request, "ModelName")
        seen += [one["ModelName"] for one in page]
        assert len(page) <= size
        if token is None:
            break
        request["NextToken"] = token
    key = {"Name": lambda name: name, "CreationTime": lambda name: (len(name), name)}[sort_by]
    assert seen == sorted(found, key=key, reverse=order == "Descending")


def test_listings_are_filtered() -> None:
    entries = [
        {"EndpointName": "Plans", "EndpointStatus": "InService", "CreationTime": 10.0, "LastModifiedTime": 10.0},
        {"EndpointName": "other", "EndpointStatus": "Failed", "CreationTime": 20.0, "LastModifiedTime": 30.0},
    ]

    def found(**request: Any) -> list[str]:
        return [one["EndpointName"] for one in sagemaker.listing(entries, request, "EndpointName")[0]]

    assert found() == ["other", "Plans"]
    assert found(NameContains="plan") == ["Plans"]
    assert found(StatusEquals="Failed") == ["other"]
    assert found(CreationTimeBefore=15) == ["Plans"]
    assert found(LastModifiedTimeAfter=15) == ["other"]


@pytest.mark.parametrize("token", ["?", "bm90IGpzb24=", "W10=", "WyJFbmRwb2ludE5hbWUiLCAxLCAyXQ=="])
def test_a_token_of_another_listing_is_refused(token: str) -> None:
    with pytest.raises(AwsError, match="Invalid NextToken"):
        sagemaker.listing([], {"NextToken": token}, "ModelName")


# ---------------------------------------------------------------- invocations


def job(state: JobState, failure: dict[str, Any] | None) -> Job:
    plan = OutputPlan(ObjectName("b", "o.out"), ObjectName("b", "o-error.out"))
    return Job(
        id="j",
        owner="0",
        endpoint_id="e",
        endpoint_name="plans",
        version_id=None,
        purpose=JobPurpose.CLIENT,
        door="sagemaker",
        task=None,
        state=state,
        priority=5,
        attempt=1,
        deaths=0,
        input=JobInput("application/json", b""),
        output=plan,
        accept="*/*",
        attributes={},
        submitted_at_ms=0,
        queue_deadline_ms=0,
        invocation_timeout_ms=0,
        decide_by_ms=0,
        failure=failure,
    )


@pytest.mark.parametrize(
    ("error_type", "status"),
    [
        (errors.UNKNOWN_TASK, 400),
        (errors.IMAGE_UNDECODABLE, 400),
        (errors.MISSING_FIELD, 400),
        (errors.HANDLER_ERROR, 500),
        (errors.WORKER_CRASHED, 500),
        ("words of the handler", 500),
    ],
)
def test_a_failed_job_is_a_model_error_with_its_document(error_type: str, status: int) -> None:
    document = {"status": "error", "message": "why", "error_type": error_type}
    error = runtime.model_error(job(JobState.FAILED, document), "arn:aws:logs:…")
    assert (error.code, error.status, error.members["OriginalStatusCode"]) == ("ModelError", 424, status)
    assert json.loads(error.members["OriginalMessage"]) == document


def test_a_repeated_attempt_has_the_same_inference_id() -> None:
    given = {"EndpointName": "a"}
    first, again, other = (
        runtime.invocation(given, b"x", "http://h", key).attributes["inference_id"] for key in ("k", "k", "l")
    )
    assert first == again != other
    assert len({runtime.invocation(given, b"x", "http://h", None).attributes["inference_id"] for _ in range(3)}) == 3


@pytest.mark.parametrize("extension", ["..", "a/../b", "/a", "a//b", "./a"])
def test_an_extension_cannot_leave_the_output_path(extension: str) -> None:
    with pytest.raises(AwsError, match="S3OutputPathExtension must be a relative path"):
        runtime.invocation({"EndpointName": "a", "S3OutputPathExtension": extension}, b"x", "http://h", None)


def test_inputs_are_objects_of_this_server() -> None:
    def read(location: str) -> ObjectName | None:
        given = {"EndpointName": "a", "InputLocation": location}
        return runtime.invocation(given, b"", "http://127.0.0.1:8400", None).object

    assert read("s3://b/a/c.json") == ObjectName("b", "a/c.json")
    assert read("https://127.0.0.1:8400/b/a%20c") == ObjectName("b", "a c")
    for elsewhere in ("https://s3.amazonaws.com/b/c", "s3://b", "https://127.0.0.1:8400/b/c?x=y", "https://[/b/c"):
        with pytest.raises(AwsError, match="not an object of this server"):
            read(elsewhere)


def test_refusals_have_awss_codes() -> None:
    full = runtime.refusal(Busy(errors.QUEUE_FULL, "full", retry_after_seconds=7), "0", "plans")
    assert (full.code, full.status, full.headers) == ("ServiceUnavailable", 503, {"Retry-After": "7"})
    gone = runtime.refusal(NotFound(errors.ENDPOINT_NOT_FOUND, "no"), "000000000000", "plans")
    assert str(gone) == "ValidationError: Endpoint plans of account 000000000000 not found."
    failed = runtime.refusal(
        Conflict(errors.ENDPOINT_NOT_IN_SERVICE, "Endpoint 'plans' is Failed: load."), "0", "plans"
    )
    assert (str(failed), failed.status) == ("ValidationError: Endpoint 'plans' is Failed: load.", 400)
    bad = runtime.refusal(BadInput(errors.INPUT_NOT_FOUND, "There is no object.", valid="one"), "0", "plans")
    assert str(bad) == "ValidationError: There is no object. Valid: one."


# ---------------------------------------------------------------- error forms, read by botocore's own parsers

SERVICES = {
    Protocol.JSON: "sagemaker",
    Protocol.REST_JSON: "sagemaker-runtime",
    Protocol.QUERY: "sts",
    Protocol.EC2: "ec2",
    Protocol.REST_XML: "s3",
    Protocol.CBOR: "cloudwatch",
}


@pytest.mark.parametrize("protocol", Protocol)
def test_clients_of_every_protocol_can_read_an_error(protocol: Protocol) -> None:
    model = get_session().get_service_model(SERVICES[protocol])
    operation = model.operation_model(model.operation_names[0])
    response = aws_errors.error_response(protocol, AwsError("Some<Code>", 'a "message" & more…', 418), "request-1")
    parser = parsers.create_parser(str(protocol))
    headers = {key.title(): value for key, value in response.headers.items()}
    parsed = parser.parse(
        {"body": bytes(response.body), "headers": response.headers, "status_code": response.status_code, "context": {}},
        operation.output_shape,
    )
    assert headers["X-Amzn-Requestid"] == "request-1"
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == 418
    assert parsed["Error"]["Message"] == 'a "message" & more…'
    assert parsed["Error"]["Code"] == "Some<Code>"


@pytest.mark.parametrize(
    ("protocol", "flaw", "code"),
    [
        (Protocol.JSON, "missing", "MissingAuthenticationTokenException"),
        (Protocol.JSON, "unknown_key", "UnrecognizedClientException"),
        (Protocol.JSON, "mismatch", "InvalidSignatureException"),
        (Protocol.REST_JSON, "malformed", "IncompleteSignatureException"),
        (Protocol.REST_JSON, "skewed", "InvalidSignatureException"),
        (Protocol.QUERY, "missing", "MissingAuthenticationToken"),
        (Protocol.QUERY, "unknown_key", "InvalidClientTokenId"),
        (Protocol.QUERY, "mismatch", "SignatureDoesNotMatch"),
        (Protocol.QUERY, "malformed", "IncompleteSignature"),
        (Protocol.QUERY, "expired", "RequestExpired"),
        (Protocol.REST_XML, "missing", "AccessDenied"),
        (Protocol.REST_XML, "unknown_key", "InvalidAccessKeyId"),
        (Protocol.REST_XML, "mismatch", "SignatureDoesNotMatch"),
        (Protocol.REST_XML, "skewed", "RequestTimeTooSkewed"),
        (Protocol.REST_XML, "expired", "AccessDenied"),
        (Protocol.REST_XML, "malformed", "AuthorizationHeaderMalformed"),
    ],
)
def test_each_service_names_a_flaw_in_its_own_way(protocol: Protocol, flaw: str, code: str) -> None:
    assert aws_errors.signature_error(protocol, flaw, "why", {}).code == code


def test_s3_says_that_a_presigned_url_has_expired() -> None:
    error = aws_errors.signature_error(Protocol.REST_XML, "expired", "Request has expired", {"Expires": "then"})
    assert (error.status, error.message, error.members) == (403, "Request has expired", {"Expires": "then"})
