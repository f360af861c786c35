"""CloudWatch Logs through an unmodified boto3: what `aws logs tail` asks for, on a real server.

`aws logs tail` itself comes with version 2 of the command line, which no package registry has; its requests are
FilterLogEvents calls, repeated here as its follower makes them.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

GROUP = "/aws/sagemaker/Endpoints/tasks"
PACKAGES = Path(__file__).parents[1] / "packages"
PIXEL = base64.b64encode((PACKAGES / "tasks_sagemaker/samples/pixel.png").read_bytes()).decode()


@pytest.fixture
def served(server: Any, archive: Callable[[str], Path]) -> Any:
    """A server with an endpoint `tasks` that has logged its trial."""
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket="plans")
    s3.upload_file(str(archive("tasks_sagemaker")), "plans", "model.tar.gz")
    sagemaker.create_model(ModelName="m", PrimaryContainer={"ModelDataUrl": "s3://plans/model.tar.gz"})
    variant = {"VariantName": "Only", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="tasks", EndpointConfigName="c")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="tasks", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    return server


def test_logs_are_read_and_followed(served: Any, eventually: Callable[..., Any], aws_command: Path) -> None:
    logs = served.client("logs")
    assert [one["logGroupName"] for one in logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]] == [GROUP]

    def in_service() -> Any:
        return logs.filter_log_events(logGroupName=GROUP, filterPattern='"in service"')["events"]

    assert eventually(in_service)
    paginator = logs.get_paginator("filter_log_events")
    pages = list(paginator.paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 2}))
    events = [event for page in pages for event in page["events"]]
    assert len(pages) > 1
    assert len({event["eventId"] for event in events}) == len(events)
    assert events == logs.filter_log_events(logGroupName=GROUP)["events"][: len(events)]

    runtime = served.client("sagemaker-runtime")
    newest = max(event["timestamp"] for event in events)
    seen = {event["eventId"] for event in logs.filter_log_events(logGroupName=GROUP, startTime=newest)["events"]}
    body = json.dumps({"task": "get_embedding", "image": PIXEL}).encode()
    answer = runtime.invoke_endpoint(EndpointName="tasks", Body=body, ContentType="application/json")
    answer["Body"].close()  # otherwise its connection is left to be collected

    def followed() -> list[str]:
        page = logs.filter_log_events(logGroupName=GROUP, startTime=newest, interleaved=True)
        return [one["message"] for one in page["events"] if one["eventId"] not in seen]

    assert eventually(lambda: [line for line in followed() if "Processing task: get_embedding" in line])

    streams = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True)["logStreams"]
    assert streams[0]["lastEventTimestamp"] >= streams[-1]["lastEventTimestamp"]
    stream = streams[0]["logStreamName"]
    whole = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
    last = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, limit=1)
    assert last["events"] == whole["events"][-1:]
    token = whole["nextForwardToken"]
    beyond = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, nextToken=token)
    assert beyond["events"] == []
    assert beyond["nextForwardToken"] == token

    done = subprocess.run(
        [aws_command, "logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", "Processing"],
        capture_output=True, text=True, env=served.environment, check=True,
    )  # fmt: skip
    assert all("Processing" in event["message"] for event in json.loads(done.stdout)["events"])


def test_a_group_that_is_not_there_is_said_in_awss_words(server: Any) -> None:
    logs = server.client("logs")
    for call, more in ((logs.filter_log_events, {}), (logs.get_log_events, {"logStreamName": "a"})):
        with pytest.raises(logs.exceptions.ResourceNotFoundException, match="The specified log group does not exist"):
            call(logGroupName="/aws/sagemaker/Endpoints/none", **more)
    with pytest.raises(logs.exceptions.InvalidParameterException, match="at 'logGroupName' failed to satisfy"):
        logs.filter_log_events(logGroupName="not valid")
    with pytest.raises(ClientError, match="ListTagsForResource of logs is not offered here"):
        logs.list_tags_for_resource(resourceArn=f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}")
