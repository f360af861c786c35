"""Model, configuration and asynchronous endpoint, by boto3; waits until it is in service or has failed.

    python sagemaker/deploy_async_endpoint.py --model-data s3://…/model.tar.gz \\
        --sns-topic-arn arn:aws:sns:us-east-1:000000000000:SNSMLTopic --endpoint-name stygig-async
"""

import argparse
import sys
import time

import boto3

BUCKET = "stygig-ml-s3"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-data", required=True)
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
    sagemaker = boto3.client("sagemaker")
    name = given.endpoint_name
    output = {"S3OutputPath": given.output, "S3FailurePath": given.failures}
    if given.sns_topic_arn:
        output["NotificationConfig"] = {"SuccessTopic": given.sns_topic_arn, "ErrorTopic": given.sns_topic_arn}
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=given.role,
        PrimaryContainer={"Image": given.image, "ModelDataUrl": given.model_data},
    )
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": given.instance_type}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[variant | {"InitialInstanceCount": given.instance_count}],
        AsyncInferenceConfig={"OutputConfig": output},
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return waited(sagemaker, name, given.timeout)


def waited(sagemaker, name: str, seconds: int) -> int:
    give_up = time.monotonic() + seconds
    shown = ""
    while time.monotonic() < give_up:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        if status != shown:
            print(f"{name}: {status}", flush=True)
            shown = status
        if status == "InService":
            return 0
        if status == "Failed":
            print(endpoint.get("FailureReason", "no reason was given"), file=sys.stderr)
            return 1
        time.sleep(1)
    print(f"{name} is still {shown} after {seconds} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
