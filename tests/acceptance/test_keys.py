"""Keys for a shop and for a worker, made by the command line and used with unmodified clients."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests import forks
from tests.conftest import PACKAGES, RunningServer


@dataclass(frozen=True)
class Holder:
    """Somebody with a key and nothing else."""

    url: str
    made: dict[str, Any]
    open: ExitStack

    def http(self) -> httpx.Client:
        key = {"Authorization": f"Bearer {self.made['api_key']}"}
        return self.open.enter_context(httpx.Client(base_url=self.url, headers=key, timeout=60))

    def aws(self, service: str, signature: str | None = None) -> Any:
        pair = self.made["access_key_id"], self.made["secret_access_key"]
        config = Config(retries={"total_max_attempts": 1}, signature_version=signature)
        session = boto3.session.Session(*pair, region_name="us-east-1")
        client = session.client(service, endpoint_url=self.url, config=config)
        self.open.callback(client.close)
        return client

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        own = {"SEATRIAL_URL": self.url, "SEATRIAL_API_KEY": self.made["api_key"]}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEATRIAL_", "AWS_"))}
        return forks.run(*arguments, env=kept | own)


Hire = Callable[..., Holder]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_DRILL_SECONDS", "0")
        running = RunningServer(tmp_path_factory.mktemp("keys") / "data").start()
    running.cli("deploy", str(PACKAGES / "echo"), "--name", "echo")
    yield running
    running.terminate()


@pytest.fixture(scope="module")
def hire(server: Any) -> Iterator[Hire]:
    stack = ExitStack()

    def make(*arguments: str) -> Holder:
        made = json.loads(server.cli("keys", "create", "--json", *arguments).stdout)
        return Holder(server.url, made, stack)

    with stack:
        yield make


@pytest.fixture(scope="module")
def shop(hire: Hire) -> Holder:
    return hire("--name", "shop", "--scope", "submit", "--scope", "read", "--endpoint", "echo", "--expires", "90d")


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def test_a_client_uses_its_endpoint_and_knows_of_no_other(shop: Holder) -> None:
    shown = shop.cli("endpoints", "list", "--json")
    assert [one["name"] for one in json.loads(shown.stdout)] == ["echo"]
    http = shop.http()
    done = http.post("/v1/endpoints/echo/jobs", json={"text": "ahoy"}, headers={"Prefer": "wait=30"}).json()
    assert http.get(done["links"]["result"]).json()["text"] == "ahoy"
    refusal = shop.cli("deploy", str(PACKAGES / "echo"), "--name", "echo", "--update")
    assert refusal.returncode != 0
    assert "--scope deploy" in refusal.stderr
    runtime, control = shop.aws("sagemaker-runtime"), shop.aws("sagemaker")
    assert json.load(runtime.invoke_endpoint(EndpointName="echo", Body=b'{"text": "a"}')["Body"])["text"] == "a"
    assert [one["EndpointName"] for one in control.list_endpoints()["Endpoints"]] == ["echo"]
    assert refused(lambda: runtime.invoke_endpoint(EndpointName="other", Body=b"{}")) == "AccessDeniedException"
    assert refused(lambda: control.delete_endpoint(EndpointName="echo")) == "AccessDeniedException"
    assert shop.aws("sts").get_caller_identity()["UserId"] == shop.made["key"]["id"]


def test_an_alarm_does_nothing_that_its_maker_may_not_do(server: Any, hire: Hire) -> None:
    scaling = server.client("application-autoscaling")
    meant = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/other/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    server.cli("deploy", str(PACKAGES / "echo"), "--name", "other")
    scaling.register_scalable_target(**meant, MinCapacity=0, MaxCapacity=2)
    step = {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}
    config = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [step]}
    of_other = scaling.put_scaling_policy(
        **meant, PolicyName="up", PolicyType="StepScaling", StepScalingPolicyConfiguration=config
    )["PolicyARN"]
    topic = server.client("sns").create_topic(Name="of-the-owner")["TopicArn"]
    holder = hire("--name", "deployer", "--scope", "deploy", "--endpoint", "echo").aws("cloudwatch")

    def alarm(endpoint: str, **more: Any) -> None:
        holder.put_metric_alarm(
            AlarmName=f"of-{endpoint}", Namespace="AWS/SageMaker", MetricName="ApproximateBacklogSize",
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}], Statistic="Average", Period=60, Threshold=5,
            EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", **more,
        )  # fmt: skip

    alarm("echo")
    assert refused(lambda: alarm("other")) in {"AccessDenied", "AccessDeniedException"}
    for action in (of_other, topic):
        for state in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            code = refused(lambda state=state, action=action: alarm("echo", **{state: [action]}))
            assert code in {"AccessDenied", "AccessDeniedException"}, (state, action)
    assert holder.describe_alarms()["MetricAlarms"][0]["AlarmActions"] == []
    server.cli("endpoints", "delete", "other")


def test_the_server_reads_nothing_for_a_key_that_the_key_may_not_read(server: Any, shop: Holder) -> None:
    with closing(server.client("s3")) as owner:
        owner.create_bucket(Bucket="vault")
        owner.put_object(Bucket="vault", Key="request.json", Body=b'{"text": "secret"}', ContentType="application/json")
    answer = shop.http().post("/v1/endpoints/echo/jobs", params={"input": "s3://vault/request.json"})
    assert (answer.status_code, answer.json()["error_type"]) == (422, "input_unreachable")
    runtime = shop.aws("sagemaker-runtime")
    code = refused(lambda: runtime.invoke_endpoint_async(EndpointName="echo", InputLocation="s3://vault/request.json"))
    assert code == "ValidationError"


def test_urls_end_with_the_key_that_signed_them(server: Any, hire: Hire) -> None:
    shop = hire("--scope", "submit", "--scope", "read", "--endpoint", "echo")
    key_id = shop.made["key"]["id"]
    upload = shop.http().post("/v1/uploads").json()
    assert httpx.put(upload["url"], content=b"plan").status_code == 200
    bucket, _, key = upload["uri"].removeprefix("s3://").partition("/")
    urls = [
        shop.aws("s3", signature).generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
        for signature in (None, "s3v4", "s3")
    ]

    def statuses() -> set[int]:
        return {httpx.get(url).status_code for url in urls}

    assert statuses() == {200}
    server.cli("keys", "change", key_id, "--endpoint", "other")
    assert statuses() == {403}
    owner = {"Authorization": f"Bearer {server.variables['SEATRIAL_API_KEY']}"}
    httpx.patch(f"{server.url}/v1/keys/{key_id}", json={"endpoints": ["echo"]}, headers=owner).raise_for_status()
    again = json.loads(server.cli("keys", "rotate", key_id, "--overlap-hours", "1", "--json").stdout)
    assert again["api_key"] != shop.made["api_key"]
    assert statuses() == {200}
    server.cli("keys", "revoke", key_id)
    assert statuses() == {403}
    assert httpx.put(upload["url"], content=b"plan").status_code == 403
    assert shop.http().get("/v1/jobs").json()["error_type"] == "unauthenticated"
    assert httpx.get(f"{server.url}/v1/keys/{key_id}", headers=owner).json()["state"] == "revoked"


def test_a_key_that_is_revoked_ends_the_streams_that_it_follows(server: Any, hire: Hire) -> None:
    shop = hire("--scope", "submit", "--scope", "read", "--endpoint", "echo")
    http = shop.http()
    with http.stream("GET", "/v1/endpoints/echo/logs", params={"follow": "true"}) as following:
        told = following.iter_lines()
        assert next(told) == "event: line"
        server.cli("keys", "revoke", shop.made["key"]["id"])
        owner = {"Authorization": f"Bearer {server.variables['SEATRIAL_API_KEY']}"}
        said = {"text": "after the end", "times": 1}
        httpx.post(f"{server.url}/v1/endpoints/echo/jobs", json=said, headers=owner | {"Prefer": "wait=30"})
        list(told)  # it ends
