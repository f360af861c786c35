"""SageMaker's control plane through an unmodified boto3, on a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

ROLE = "arn:aws:iam::000000000000:role/SageMakerRole"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
SOON = {"Delay": 0.1, "MaxAttempts": 600}


def variant(model: str = "m", **more: Any) -> dict[str, Any]:
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.g5.2xlarge",
        **more,
    }


def refusal(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
    """The code and the message of an error."""
    with pytest.raises(ClientError) as refused:
        call(**given)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def client_of(server: Any) -> Any:
    return server.client("sagemaker", retries={"max_attempts": 0})


@pytest.fixture
def sagemaker(server: Any) -> Any:
    return client_of(server)


@pytest.fixture
def put_model(server: Any, sagemaker: Any, archive: Callable[[str], Path]) -> Callable[..., None]:
    return model_putter(server, sagemaker, archive)


def model_putter(server: Any, sagemaker: Any, archive: Callable[[str], Path]) -> Callable[..., None]:
    """Uploads a package of tests/packages and makes a model of it, and a configuration `NAME-config`."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket="plans")

    def put(name: str, package: str, **config: Any) -> None:
        s3.upload_file(str(archive(package)), "plans", f"{package}.tar.gz")
        container = {"Image": "gen3d:v1.0", "ModelDataUrl": f"s3://plans/{package}.tar.gz"}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        sagemaker.create_endpoint_config(
            EndpointConfigName=f"{name}-config", ProductionVariants=[variant(name)], **config
        )

    return put


def test_an_endpoint_lives(sagemaker: Any, put_model: Callable[..., None]) -> None:
    output = {"OutputConfig": {"S3OutputPath": "s3://plans/async-output", "S3FailurePath": "s3://plans/async-failures"}}
    put_model("m", "echo_sagemaker", AsyncInferenceConfig=output)
    made = sagemaker.create_endpoint(EndpointName="Plans", EndpointConfigName="m-config")
    assert made["EndpointArn"] == f"{ARN}:endpoint/plans"

    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="Plans", WaiterConfig=SOON)
    described = sagemaker.describe_endpoint(EndpointName="Plans")
    assert described["EndpointConfigName"] == "m-config"
    assert described["AsyncInferenceConfig"] == output
    (shown,) = described["ProductionVariants"]
    assert (shown["VariantName"], shown["DesiredInstanceCount"]) == ("AllTraffic", 1)
    assert shown["DeployedImages"][0]["SpecifiedImage"] == "gen3d:v1.0"
    assert described["LastModifiedTime"] >= described["CreationTime"]

    assert refusal(sagemaker.create_endpoint, EndpointName="Plans", EndpointConfigName="m-config") == (
        "ValidationException",
        f'Cannot create already existing endpoint "{ARN}:endpoint/plans".',
    )

    put_model("m2", "tasks_sagemaker")
    sagemaker.update_endpoint(EndpointName="Plans", EndpointConfigName="m2-config")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="Plans", WaiterConfig=SOON)
    assert sagemaker.describe_endpoint(EndpointName="Plans")["EndpointConfigName"] == "m2-config"

    capacity = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="Plans", DesiredWeightsAndCapacities=capacity)
    (shown,) = sagemaker.describe_endpoint(EndpointName="Plans")["ProductionVariants"]
    assert shown["DesiredInstanceCount"] == 2

    sagemaker.delete_endpoint(EndpointName="Plans")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="Plans", WaiterConfig=SOON)
    assert refusal(sagemaker.describe_endpoint, EndpointName="Plans") == (
        "ValidationException",
        f'Could not find endpoint "{ARN}:endpoint/plans".',
    )


def test_a_package_that_does_not_load_ends_the_wait_with_its_reason(
    sagemaker: Any, put_model: Callable[..., None]
) -> None:
    output = {"OutputConfig": {"S3OutputPath": "s3://plans/out"}}
    put_model("broken", "broken_import", AsyncInferenceConfig=output)
    sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName="broken-config")
    with pytest.raises(WaiterError, match="Failed") as ended:
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="broken", WaiterConfig=SOON)
    assert ended.value.last_response["EndpointStatus"] == "Failed"
    assert "load" in ended.value.last_response["FailureReason"]
    described = sagemaker.describe_endpoint(EndpointName="broken")
    assert (described["EndpointConfigName"], described["AsyncInferenceConfig"]) == ("broken-config", output)
    assert described["ProductionVariants"][0]["DeployedImages"][0]["SpecifiedImage"] == "gen3d:v1.0"


def test_an_update_that_fails_leaves_the_old_configuration_in_service(
    sagemaker: Any, put_model: Callable[..., None]
) -> None:
    put_model("good", "echo_sagemaker")
    put_model("broken", "broken_import")
    sagemaker.create_endpoint(EndpointName="plans", EndpointConfigName="good-config")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="plans", WaiterConfig=SOON)
    sagemaker.update_endpoint(EndpointName="plans", EndpointConfigName="broken-config")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="plans", WaiterConfig=SOON)
    described = sagemaker.describe_endpoint(EndpointName="plans")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "good-config")
    assert "load" in described["FailureReason"]


def test_without_samples_only_the_tag_lets_it_in(sagemaker: Any, put_model: Callable[..., None]) -> None:
    put_model("bare", "no_samples")
    sagemaker.create_endpoint(EndpointName="refused", EndpointConfigName="bare-config")
    with pytest.raises(WaiterError):
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="refused", WaiterConfig=SOON)
    tags = [{"Key": "seatrial:unproven", "Value": "true"}]
    made = sagemaker.create_endpoint(EndpointName="unproven", EndpointConfigName="bare-config", Tags=tags)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="unproven", WaiterConfig=SOON)
    assert sagemaker.list_tags(ResourceArn=made["EndpointArn"])["Tags"] == tags

    names = [
        one["EndpointName"]
        for page in sagemaker.get_paginator("list_endpoints").paginate(SortBy="Name", PaginationConfig={"PageSize": 1})
        for one in page["Endpoints"]
    ]
    assert names == ["unproven", "refused"]
    failed = sagemaker.list_endpoints(StatusEquals="Failed")["Endpoints"]
    assert [one["EndpointName"] for one in failed] == ["refused"]


def check_shape(client: Any, operation: str, answer: dict[str, Any]) -> None:
    """Every member that AWS's model requires of the answer is there."""

    def check(shape: Any, value: Any, path: str) -> None:
        if shape.type_name == "structure":
            missing = [name for name in shape.required_members if name not in value]
            assert missing == [], path
            for name in shape.members.keys() & value.keys():
                check(shape.members[name], value[name], f"{path}.{name}")
        elif shape.type_name == "list":
            for one in value:
                check(shape.member, one, path)
        elif "enum" in shape.metadata:
            assert value in shape.metadata["enum"], path

    check(client.meta.service_model.operation_model(operation).output_shape, answer, operation)


def test_an_endpoint_of_the_command_line_is_complete(
    server: Any, sagemaker: Any, package: Callable[[str], Path]
) -> None:
    server.cli("deploy", str(package("no_samples")), "--name", "Bare", "--unproven")
    described = sagemaker.describe_endpoint(EndpointName="Bare")
    check_shape(sagemaker, "DescribeEndpoint", described)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "Bare")
    assert "FailureReason" not in described
    (shown,) = described["ProductionVariants"]
    assert shown["VariantStatus"] == [{"Status": "Baking", "StatusMessage": "unproven: deployed without samples"}]

    tag = {"Key": "seatrial:unproven", "Value": "true"}
    assert sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"] == [tag]
    sagemaker.add_tags(ResourceArn=described["EndpointArn"], Tags=[{"Key": "team", "Value": "plans"}])
    both = sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    assert both == [{"Key": "team", "Value": "plans"}, tag]

    code, message = refusal(sagemaker.describe_endpoint_config, EndpointConfigName="Bare")
    assert code == "ValidationException"
    assert message.startswith(f'Could not find endpoint configuration "{ARN}:endpoint-config/bare".')
    assert 'Endpoint "Bare" was deployed without one' in message
    assert "deployed without" not in refusal(sagemaker.describe_endpoint_config, EndpointConfigName="none")[1]

    # on trial, what is pending has all that AWS's shape requires
    server.cli("deploy", str(package("slow_load")), "--name", "Bare", "--update", "--no-wait")
    described = sagemaker.describe_endpoint(EndpointName="Bare")
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == "Bare"
    check_shape(sagemaker, "DescribeEndpoint", described)


def test_models_and_configurations_are_documents(sagemaker: Any, put_model: Callable[..., None]) -> None:
    put_model("m", "echo_sagemaker")
    described = sagemaker.describe_model(ModelName="m")
    assert described["PrimaryContainer"] == {"Image": "gen3d:v1.0", "ModelDataUrl": "s3://plans/echo_sagemaker.tar.gz"}
    assert (described["ModelArn"], described["ExecutionRoleArn"]) == (f"{ARN}:model/m", ROLE)
    config = sagemaker.describe_endpoint_config(EndpointConfigName="m-config")
    assert config["ProductionVariants"] == [variant()]
    assert [one["ModelName"] for one in sagemaker.list_models()["Models"]] == ["m"]
    assert [one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]] == ["m-config"]

    again = {"ModelName": "m", "PrimaryContainer": described["PrimaryContainer"]}
    assert refusal(sagemaker.create_model, **again)[1] == f'Cannot create already existing model "{ARN}:model/m".'
    elsewhere = {"ModelName": "n", "PrimaryContainer": {"ModelDataUrl": "s3://plans/none.tar.gz"}}
    assert "there is no such object" in refusal(sagemaker.create_model, **elsewhere)[1]
    unknown = {"EndpointConfigName": "n", "ProductionVariants": [variant("n")]}
    assert refusal(sagemaker.create_endpoint_config, **unknown)[1] == f'Could not find model "{ARN}:model/n".'
    code, message = refusal(sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="n")
    assert (code, message) == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/n".',
    )

    sagemaker.delete_endpoint_config(EndpointConfigName="m-config")
    sagemaker.delete_model(ModelName="m")
    assert refusal(sagemaker.delete_model, ModelName="m")[1] == f'Could not find model "{ARN}:model/m".'
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []


def test_an_output_bucket_must_be_there(shared_server: Any, archive: Callable[[str], Path]) -> None:
    sagemaker = client_of(shared_server)
    put = model_putter(shared_server, sagemaker, archive)
    put("m", "echo_sagemaker", AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://nowhere/out"}})
    code, message = refusal(sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="m-config")
    assert code == "ValidationException"
    assert "'nowhere'" in message


def test_requests_are_checked_and_operations_that_are_not_offered_say_so(shared_server: Any) -> None:
    sagemaker = client_of(shared_server)
    code, message = refusal(sagemaker.describe_endpoint, EndpointName="not valid")
    assert code == "ValidationException"
    assert "Value 'not valid' at 'endpointName' failed to satisfy constraint: Member must satisfy regular" in message
    code, message = refusal(sagemaker.list_training_jobs)
    assert code == "UnknownOperationException"
    assert "ListTrainingJobs of sagemaker is not offered here. Offered: AddTags, CreateEndpoint," in message


def test_other_services_are_told_apart_in_their_own_error_form(shared_server: Any) -> None:
    said = {
        "dynamodb": ("list_tables", "UnknownOperationException"),
        "apigateway": ("get_rest_apis", "UnknownOperationException"),
        "ec2": ("describe_instances", "InvalidAction"),
        "sqs": ("list_queues", "UnknownOperationException"),
        "rds": ("describe_db_instances", "InvalidAction"),
        "route53": ("list_hosted_zones", "NotImplemented"),
    }
    for service, (operation, code) in said.items():
        client = shared_server.client(service, retries={"max_attempts": 0})
        answer = refusal(getattr(client, operation))
        assert answer[0] == code
        assert "is not offered here. Offered: application-autoscaling, lambda, logs, monitoring, s3" in answer[1]
