"""Requests are checked against botocore's models, and the words are AWS's."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from seatrial.domain.endpoint import Endpoint, EndpointStatus, EndpointVersion, PackageRef, VersionSettings
from seatrial.http import aws_shapes
from seatrial.http.aws_shapes import Malformed, ServiceShapes, check, describe, protocol_of, read_headers
from seatrial.http.dialects import sagemaker

SAGEMAKER = ServiceShapes("sagemaker")
RUNTIME = ServiceShapes("sagemaker-runtime")
OFFERED = {
    "sagemaker": (
        "CreateModel DescribeModel DeleteModel ListModels CreateEndpointConfig DescribeEndpointConfig "
        "DeleteEndpointConfig ListEndpointConfigs CreateEndpoint DescribeEndpoint UpdateEndpoint "
        "UpdateEndpointWeightsAndCapacities DeleteEndpoint ListEndpoints AddTags DeleteTags ListTags"
    ),
    "sagemaker-runtime": "InvokeEndpoint InvokeEndpointAsync",
    "logs": "DescribeLogGroups DescribeLogStreams FilterLogEvents GetLogEvents",
}


def patterns(shape: Shape, seen: set[str]) -> Iterator[str]:
    if shape.name in seen:
        return
    seen.add(shape.name)
    if "pattern" in shape.metadata:
        yield shape.metadata["pattern"]
    inner: list[Shape] = []
    if isinstance(shape, StructureShape):
        inner = list(shape.members.values())
    elif isinstance(shape, ListShape):
        inner = [shape.member]
    elif isinstance(shape, MapShape):
        inner = [shape.key, shape.value]
    for one in inner:
        yield from patterns(one, seen)


@pytest.mark.parametrize("service", OFFERED)
def test_every_pattern_of_an_offered_operation_can_be_checked(service: str) -> None:
    shapes = ServiceShapes(service)
    for name in OFFERED[service].split():
        for pattern in patterns(shapes.operation(name).input_shape, set()):
            assert r"\p{" not in aws_shapes._compiled(pattern).pattern


def said(operation: str, given: dict[str, Any], shapes: ServiceShapes = SAGEMAKER) -> str:
    return describe(check(shapes.operation(operation), given))


def test_a_pattern_is_named_in_awss_words() -> None:
    assert said("DescribeEndpoint", {"EndpointName": "no_such name"}) == (
        "1 validation error detected: Value 'no_such name' at 'endpointName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_every_violation_is_named_at_once() -> None:
    message = said("CreateEndpoint", {"EndpointName": "a" * 64})
    assert message.startswith("2 validation errors detected: Value null at 'endpointConfigName' failed")
    assert "Member must have length less than or equal to 63" in message


def test_nested_members_are_named_with_their_place() -> None:
    variant = {"VariantName": "a", "ModelName": "m", "InitialInstanceCount": 0, "InstanceType": "ml.none"}
    message = said("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [variant]})
    assert "'0' at 'productionVariants.1.member.initialInstanceCount'" in message
    assert "Member must have value greater than or equal to 1" in message
    assert "'ml.none' at 'productionVariants.1.member.instanceType'" in message
    assert "Member must satisfy enum value set: [ml." in message


def test_an_unknown_member_is_refused_with_those_there_are() -> None:
    message = said("DescribeEndpoint", {"EndpointName": "a", "Endpoint": "b"})
    assert "Value 'b' at 'endpoint' failed to satisfy constraint: Member must be one of: EndpointName" in message


def test_a_value_of_another_type_is_a_serialisation_error() -> None:
    with pytest.raises(Malformed, match="endpointName must be of type string, not int"):
        check(SAGEMAKER.operation("DescribeEndpoint"), {"EndpointName": 7})


def test_headers_are_read_by_the_model() -> None:
    operation = RUNTIME.operation("InvokeEndpointAsync")
    headers = {"X-Amzn-SageMaker-RequestTTLSeconds": "60", "X-Amzn-SageMaker-Content-Type": "image/png"}
    given = read_headers(operation, headers, {"EndpointName": "a"})
    assert given == {"EndpointName": "a", "RequestTTLSeconds": 60, "ContentType": "image/png"}
    with pytest.raises(Malformed, match="RequestTTLSeconds"):
        read_headers(operation, {"X-Amzn-SageMaker-RequestTTLSeconds": "soon"}, {})


@pytest.mark.parametrize(
    ("name", "value", "constraint"),
    [
        ("RequestTTLSeconds", 59, "greater than or equal to 60"),
        ("RequestTTLSeconds", 21_601, "less than or equal to 21600"),
        ("InvocationTimeoutSeconds", 0, "greater than or equal to 1"),
        ("InvocationTimeoutSeconds", 3_601, "less than or equal to 3600"),
        ("InferenceId", "i" * 65, "length less than or equal to 64"),
        ("InferenceId", "aä", "regular expression"),
        ("CustomAttributes", "ä", "regular expression"),
        ("Filename", "a.b.c", "regular expression"),
        ("Filename", "../a", "regular expression"),
        ("S3OutputPathExtension", "s3:a", "regular expression"),
        ("InputLocation", "file:///etc/passwd", "regular expression"),
        ("Body", b"x" * 128_001, "length less than or equal to 128000"),
    ],
)
def test_the_runtimes_limits_are_held(name: str, value: Any, constraint: str) -> None:
    message = said("InvokeEndpointAsync", {"EndpointName": "a", name: value}, RUNTIME)
    assert message.startswith("1 validation error detected")
    assert constraint in message


def test_protocols_of_other_services_are_known_by_their_signing_names() -> None:
    known = {name: protocol_of(name) for name in ("dynamodb", "lambda", "ec2", "sns", "route53", "../../etc", "nosuch")}
    assert known == {
        "dynamodb": "json",
        "lambda": "rest-json",
        "ec2": "ec2",
        "sns": "query",
        "route53": "rest-xml",
        "../../etc": None,
        "nosuch": None,
    }


def test_what_describe_and_list_say_is_what_the_model_knows() -> None:
    endpoint = Endpoint("id", "Plans", "000000000000", EndpointStatus.FAILED, 1_000, 2_500, failure_reason="load: no")
    version = EndpointVersion("v", "id", "Plans", 1, PackageRef("", ""), VersionSettings(), 1_000)
    arn = "arn:aws:sagemaker:r:000000000000:endpoint/plans"
    answer = sagemaker.describe_endpoint(endpoint, arn, None, None, version, 0)
    shape = SAGEMAKER.operation("DescribeEndpoint").output_shape
    assert isinstance(shape, StructureShape)
    assert not list(aws_shapes._check(shape, answer, ()))
    assert (answer["LastModifiedTime"], answer["FailureReason"]) == (2.5, "load: no")
