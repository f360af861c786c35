"""Model, configuration and asynchronous endpoint, by boto3; waits until it is in service or has failed.

    python sagemaker/deploy_async_endpoint.py \\
        --model-data s3://stygig-ml-s3/model-artifacts/stygig-async-fixed/model.tar.gz \\
        --sns-topic-arn arn:aws:sns:us-east-1:000000000000:SNSMLTopic --endpoint-name stygig-async

An endpoint of that name that is in service is updated, one that has failed is made anew. Each run has a model and a
configuration of its own, NAME-YYYYMMDD-HHMMSS; those of the run before go when they serve no more.
"""

import argparse
import re
import sys
import time
from datetime import UTC, datetime

from session import BUCKET, ClientError, client, is_absent, line, run

MADE_HERE = re.compile(r"-\d{8}-\d{6}$")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-data", required=True, help="s3://BUCKET/KEY")
    parser.add_argument("--endpoint-name", required=True)
    parser.add_argument("--sns-topic-arn", help="told of every result and failure")
    parser.add_argument("--instance-type", default="ml.m5.xlarge")
    parser.add_argument("--instance-count", type=int, default=1)
    parser.add_argument("--role", default="arn:aws:iam::000000000000:role/SageMakerRole")
    parser.add_argument("--image", default="stygig-inference:latest")
    parser.add_argument("--output", default=f"s3://{BUCKET}/async-inference-results")
    parser.add_argument("--failures", default=f"s3://{BUCKET}/async-inference-failures")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds to wait")
    given = parser.parse_args()
    sagemaker = client("sagemaker")
    name = given.endpoint_name
    before = settled(sagemaker, name, given.timeout)
    output = {"S3OutputPath": given.output, "S3FailurePath": given.failures}
    if given.sns_topic_arn:
        topic = topic_here(given.sns_topic_arn)
        output["NotificationConfig"] = {"SuccessTopic": topic, "ErrorTopic": topic}
    config = f"{name[:47]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    sagemaker.create_model(
        ModelName=config,
        ExecutionRoleArn=given.role,
        PrimaryContainer={"Image": given.image, "ModelDataUrl": given.model_data},
    )
    variant = {"VariantName": "AllTraffic", "ModelName": config, "InstanceType": given.instance_type}
    try:
        sagemaker.create_endpoint_config(
            EndpointConfigName=config,
            ProductionVariants=[variant | {"InitialInstanceCount": given.instance_count}],
            AsyncInferenceConfig={"OutputConfig": output},
        )
        begin = sagemaker.update_endpoint if before else sagemaker.create_endpoint
        begin(EndpointName=name, EndpointConfigName=config)
    except ClientError:
        removed(sagemaker, config)
        raise
    print(f"{name}: model and configuration are {config}", flush=True)
    if not waited(sagemaker, name, config, given.timeout):
        return 1
    if before:
        removed(sagemaker, before)
    return 0


def settled(sagemaker, name: str, seconds: int) -> str | None:
    """The configuration of an endpoint that is to be updated; one that has failed goes first, as SageMaker asks."""
    endpoint = described(sagemaker, name)
    if endpoint is None:
        return None
    status, config = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
    if status == "InService":
        return config
    if status != "Failed":
        sys.exit(f"{name} is {status}: wait until it is in service or has failed, then run this again")
    print(f"{name} had failed: it is made anew", flush=True)
    sagemaker.delete_endpoint(EndpointName=name)
    give_up = time.monotonic() + seconds
    while described(sagemaker, name):
        if time.monotonic() > give_up:
            sys.exit(f"{name} is still there {seconds} s after it was deleted; run this again")
        time.sleep(0.5)
    removed(sagemaker, config)
    return None


def described(sagemaker, name: str) -> dict | None:
    try:
        return sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find" in error.response["Error"]["Message"]:
            return None
        raise


def removed(sagemaker, name: str) -> None:
    """A run's configuration and model. What is gone already is no error; what this script did not make stays."""
    if not MADE_HERE.search(name):
        return
    for delete, what in (
        (sagemaker.delete_endpoint_config, {"EndpointConfigName": name}),
        (sagemaker.delete_model, {"ModelName": name}),
    ):
        try:
            delete(**what)
        except ClientError as error:
            if "Could not find" not in error.response["Error"]["Message"]:
                raise


def topic_here(arn: str) -> str:
    """The topic, or the one of that name in this account and region, which is then said."""
    sns = client("sns")
    try:
        sns.get_topic_attributes(TopicArn=arn)
        return arn
    except ClientError as error:
        if not is_absent(error):
            sys.exit(f"--sns-topic-arn {arn}: {line(error)}")
    name = arn.rpartition(":")[2]
    pages = sns.get_paginator("list_topics").paginate()
    for found in (one["TopicArn"] for page in pages for one in page["Topics"]):
        if found.endswith(f":{name}"):
            print(f"{arn} is not here; {found} is, and is told instead", flush=True)
            return found
    sys.exit(f"--sns-topic-arn {arn}: there is no such topic; make it: aws sns create-topic --name {name}")


def waited(sagemaker, name: str, config: str, seconds: int) -> bool:
    """Whether the configuration came into service; otherwise the reason is said."""
    give_up = time.monotonic() + seconds
    shown = ""
    while time.monotonic() < give_up:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        if status != shown:
            print(f"{name}: {status}", flush=True)
            shown = status
        if status == "InService" and endpoint["EndpointConfigName"] == config:
            return True
        if status in ("Failed", "InService", "UpdateRollbackFailed"):
            print(endpoint.get("FailureReason", "no reason was given"), file=sys.stderr)
            if status == "InService":
                print(f"{name} serves with {endpoint['EndpointConfigName']} as before", file=sys.stderr)
                removed(sagemaker, config)
            return False
        time.sleep(1)
    print(f"{name} is still {shown} after {seconds} s", file=sys.stderr)
    return False


if __name__ == "__main__":
    run(main)
