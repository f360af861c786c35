"""Workers come and go with the backlog: by AWS's calls, unmodified clients, on a real server."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.exceptions import ClientError
from tests.acceptance.test_topics import confirmed, verified
from tests.acceptance.test_webhooks import Receiver

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


class Scaled:
    """An endpoint and the clients that scale it."""

    def __init__(self, api, name):
        self.api, self.name = api, name
        self.resource = f"endpoint/{name}/variant/AllTraffic"
        self.meant = {"ServiceNamespace": "sagemaker", "ResourceId": self.resource, "ScalableDimension": DIMENSION}
        self.scaling = api.server.client("application-autoscaling")
        self.cloudwatch = api.server.client("cloudwatch")
        self.sagemaker = api.server.client("sagemaker")

    def register(self, low, high, **more):
        self.scaling.register_scalable_target(**self.meant, MinCapacity=low, MaxCapacity=high, **more)

    def track(self, jobs_per_worker, cooldown):
        metric = {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": self.name}],
            "Statistic": "Average",
        }
        config = {
            "TargetValue": jobs_per_worker,
            "CustomizedMetricSpecification": metric,
            "ScaleInCooldown": cooldown,
            "ScaleOutCooldown": 0,
        }
        return self.scaling.put_scaling_policy(
            **self.meant,
            PolicyName="backlog",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=config,
        )

    def wake_step(self):
        config = {
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 0,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        }
        return self.scaling.put_scaling_policy(
            **self.meant, PolicyName="wake", PolicyType="StepScaling", StepScalingPolicyConfiguration=config
        )

    @property
    def counts(self):
        """Instances that are there, and that there should be."""
        variant = self.sagemaker.describe_endpoint(EndpointName=self.name)["ProductionVariants"][0]
        return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]

    def activities(self):
        return self.scaling.describe_scaling_activities(**self.meant)["ScalingActivities"]


@pytest.fixture
def scaled(api):
    def make(name):
        if api.http.get(f"/v1/endpoints/{name}").status_code == 404:
            api.serve(name)
        api.http.delete(f"/v1/endpoints/{name}/scaling")
        return Scaled(api, name)

    return make


def aws(api, command, *arguments):
    done = subprocess.run(
        [command, *arguments, "--output", "json"],
        capture_output=True, text=True, env=api.server.environment, check=True,
    )  # fmt: skip
    return json.loads(done.stdout or "{}")


def test_from_zero_to_the_maximum_and_back(scaled, make_gate, eventually):
    one = scaled("tide")
    one.register(0, 3)
    one.track(1, 1)
    eventually(lambda: one.counts == (0, 0))

    gates = [make_gate() for _ in range(4)]
    first = one.api.submit("tide", gates[0].code + " or 0")  # wakes it
    gates[0].reached()
    assert one.counts == (1, 1)

    jobs = [one.api.submit("tide", f"{gate.code} or {number}") for number, gate in enumerate(gates[1:], start=1)]
    eventually(lambda: one.counts == (3, 3))
    assert one.counts == (3, 3), "its maximum, with four jobs"
    for gate in gates[1:3]:
        gate.reached()

    gates[0].open()
    assert one.api.value(first) == 0
    for gate in gates[1:3]:
        gate.open()
    gates[3].reached()
    eventually(lambda: one.counts == (1, 1))  # the workers that had nothing to do have left, and it still runs
    gates[3].open()
    assert [one.api.value(job) for job in jobs] == [1, 2, 3]
    eventually(lambda: one.counts == (0, 0))

    causes = [(activity["Cause"], activity["StatusCode"]) for activity in reversed(one.activities())]
    assert causes[0][0].startswith("no more than 0 were wanted for 1 s")
    assert causes[1] == ("a job waits and there is no worker", "Successful")
    assert any("1 wanted for each worker (policy backlog)" in cause for cause, _ in causes)


def test_figures_alarm_and_a_step_that_wakes(scaled, eventually, aws_command):
    one = scaled("waker")
    one.register(0, 2)
    policy = one.wake_step()["PolicyARN"]
    alarm = {
        "AlarmName": "waker-has-backlog",
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": [{"Name": "EndpointName", "Value": "waker"}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
    }
    topic = one.api.server.client("sns").create_topic(Name="alarms")["TopicArn"]
    one.cloudwatch.put_metric_alarm(**alarm, AlarmActions=[policy, topic], ActionsEnabled=True)
    weights = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    one.sagemaker.update_endpoint_weights_and_capacities(EndpointName="waker", DesiredWeightsAndCapacities=weights)
    eventually(lambda: one.counts == (0, 0))
    (described,) = one.scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=one.resource)[
        "ScalingPolicies"
    ]
    assert [each["AlarmName"] for each in described["Alarms"]] == ["waker-has-backlog"]

    assert one.api.run("waker", "7") == 7
    assert [each["Cause"] for each in one.activities()] == ["alarm waker-has-backlog (policy wake)"]
    history = one.cloudwatch.describe_alarm_history(AlarmName="waker-has-backlog", HistoryItemType="Action")
    summaries = sorted(item["HistorySummary"] for item in history["AlarmHistoryItems"])
    assert summaries[0].startswith(f"Successfully executed action {policy}: 0 to 1 workers")
    assert summaries[1].startswith(f"Successfully executed action {topic}: message ")
    for more, said in (
        ({"ExtendedStatistic": "p99"}, "ExtendedStatistic is not offered here"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "valid: scaling policies and SNS topics"),
        ({"AlarmActions": [policy.replace("scalingPolicy:", "scalingPolicy:0")]}, "There is no scaling policy"),
        ({"OKActions": [f"{topic}-gone"]}, "There is no topic"),
    ):
        with pytest.raises(ClientError, match=said):
            one.cloudwatch.put_metric_alarm(**alarm, **more)

    told = aws(one.api, aws_command, "cloudwatch", "describe-alarms", "--alarm-names", "waker-has-backlog")
    assert told["MetricAlarms"][0]["AlarmActions"] == [policy, topic]
    names = aws(one.api, aws_command, "cloudwatch", "list-metrics", "--namespace", "AWS/SageMaker")["Metrics"]
    assert {"ApproximateBacklogSize", "InvocationsProcesssed", "ModelLatency"} <= {each["MetricName"] for each in names}

    span = {"StartTime": datetime.now(UTC) - timedelta(minutes=5), "EndTime": datetime.now(UTC) + timedelta(minutes=1)}
    variant = [{"Name": "EndpointName", "Value": "waker"}, {"Name": "VariantName", "Value": "AllTraffic"}]
    points = one.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker", MetricName="InvocationsProcesssed", Dimensions=variant,
        Period=60, Statistics=["Sum", "SampleCount"], **span,
    )["Datapoints"]  # fmt: skip
    assert sum(point["Sum"] for point in points) == 1
    assert 'seatrial_jobs_ended_total{endpoint="waker"' in one.api.http.get("/metrics").text
    stat = {"Metric": {"Namespace": "AWS/SageMaker", "MetricName": "TimeInBacklog", "Dimensions": variant}}
    query = {"Id": "waited", "MetricStat": {**stat, "Period": 60, "Stat": "Maximum"}}
    (waited,) = one.cloudwatch.get_metric_data(MetricDataQueries=[query], **span)["MetricDataResults"]
    assert waited["Values"][0] > 0
    assert waited["StatusCode"] == "Complete"

    one.cloudwatch.delete_alarms(AlarmNames=["waker-has-backlog"])
    with pytest.raises(one.cloudwatch.exceptions.ResourceNotFound):
        one.cloudwatch.set_alarm_state(AlarmName="waker-has-backlog", StateValue="OK", StateReason="gone")


def test_what_went_wrong_on_the_way_in_out_and_to_receivers_is_counted(scaled, eventually):
    one = scaled("manual")
    s3, runtime = one.api.server.client("s3"), one.api.server.client("sagemaker-runtime")
    for bucket in ("counted-in", "counted-out"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="counted-in", Key="in.json", Body=b'{"code": "1"}', ContentType="application/json")
    runtime.invoke_endpoint_async(
        EndpointName="manual", InputLocation="s3://counted-in/in.json", ContentType="application/json"
    )
    answer = runtime.invoke_endpoint(EndpointName="manual", Body=b'{"code": "1"}', ContentType="application/json")
    answer["Body"].read()
    nobody = one.api.submit("manual", "1", webhook="http://127.0.0.1:9/nobody")
    one.api.ended(nobody)
    s3.put_object(Bucket="counted-in", Key="gone.json", Body=b'{"code": "1"}')
    one.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="manual", DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    )
    eventually(lambda: one.counts == (0, 0))
    runtime.invoke_endpoint_async(EndpointName="manual", InputLocation="s3://counted-in/gone.json")
    s3.put_object(Bucket="counted-in", Key="gone.json", Body=b"another")
    one.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="manual", DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]
    )
    variant = [{"Name": "EndpointName", "Value": "manual"}, {"Name": "VariantName", "Value": "AllTraffic"}]

    def told(name):
        now = datetime.now(UTC)
        points = one.cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker", MetricName=name, Dimensions=variant, Period=60, Statistics=["Sum"],
            StartTime=now - timedelta(minutes=5), EndTime=now + timedelta(minutes=1),
        )["Datapoints"]  # fmt: skip
        return sum(point["Sum"] for point in points), {point["Unit"] for point in points}

    with pytest.raises(ClientError, match="'code' is required"):
        runtime.invoke_endpoint(EndpointName="manual", Body=b"{}", ContentType="application/json")
    counted = one.api.http.get("/metrics").text
    assert 'endpoint="manual",error_type="missing_field",status="failed",task="do"}' in counted
    assert 'seatrial_jobs_ended_total{endpoint="manual",error_type="",status="succeeded",task="do"}' in counted
    assert 'endpoint="manual",error_type="",status="succeeded",task=""' not in counted, "whichever door it came through"
    eventually(lambda: told("RequestDownloadFailures") == (1, {"Count"}))
    eventually(lambda: told("NotificationFailures")[0] >= 1)
    assert told("ResponseUploadFailures") == (0, {"Count"})
    for name in ("RequestDownloadLatency", "ResponseUploadLatency", "OverheadLatency"):
        took_us, units = told(name)
        assert (0 < took_us < 60_000_000, units) == (True, {"Microseconds"}), name


def test_an_alarm_is_told_to_a_subscriber_of_its_topic(scaled, eventually):
    one, receiver = scaled("manual"), Receiver()
    with closing(receiver):
        sns = one.api.server.client("sns")
        topic = sns.create_topic(Name="watchers")["TopicArn"]
        confirmed(sns, topic, receiver, eventually)
        which = {
            "Namespace": "Mine",
            "MetricName": "Depth",
            "Dimensions": [{"Name": "EndpointName", "Value": "manual"}],
        }
        one.cloudwatch.put_metric_alarm(
            AlarmName="deep", Statistic="Maximum", Period=60, EvaluationPeriods=3, DatapointsToAlarm=1, Threshold=9,
            ComparisonOperator="GreaterThanThreshold", AlarmActions=[topic], AlarmDescription="too deep", **which,
        )  # fmt: skip
        earlier = datetime.now(UTC) - timedelta(minutes=1)  # of a client's metric the minute that runs does not count
        datum = {key: which[key] for key in ("MetricName", "Dimensions")} | {"Value": 10.5, "Timestamp": earlier}
        one.cloudwatch.put_metric_data(Namespace="Mine", MetricData=[datum])
        eventually(lambda: receiver.got)
        envelope = verified(receiver.got.pop()[1])
        assert envelope["Subject"] == 'ALARM: "deep" in us-east-1'
        message = json.loads(envelope["Message"])
        assert (message["NewStateValue"], message["AlarmDescription"]) == ("ALARM", "too deep")
        assert "[10.5]" in message["NewStateReason"]
        assert message["Trigger"]["Dimensions"] == [{"name": "EndpointName", "value": "manual"}]
        one.cloudwatch.disable_alarm_actions(AlarmNames=["deep"])
        one.cloudwatch.set_alarm_state(AlarmName="deep", StateValue="OK", StateReason="quiet")
        one.cloudwatch.set_alarm_state(AlarmName="deep", StateValue="ALARM", StateReason="nobody hears")
        one.cloudwatch.enable_alarm_actions(AlarmNames=["deep"])
        (entry,) = one.cloudwatch.describe_alarms(AlarmNames=["deep"])["MetricAlarms"]
        assert (entry["ActionsEnabled"], entry["StateReason"]) == (True, "nobody hears")
        one.cloudwatch.set_alarm_state(AlarmName="deep", StateValue="OK", StateReason="no action of this state")
        one.cloudwatch.set_alarm_state(AlarmName="deep", StateValue="ALARM", StateReason="heard again")
        eventually(lambda: receiver.got)
        (again,) = receiver.got
        assert json.loads(verified(again[1])["Message"])["NewStateReason"] == "heard again"
        one.cloudwatch.delete_alarms(AlarmNames=["deep"])


def test_a_state_set_by_hand_runs_the_step_and_own_figures_are_kept(scaled, eventually, aws_command):
    one = scaled("manual")
    one.register(1, 2)
    policy = one.wake_step()["PolicyARN"]
    own = [{"Name": "EndpointName", "Value": "manual"}]
    datum = {"MetricName": "Frames", "Dimensions": own, "Values": [1.0, 5.0], "Counts": [2.0, 1.0], "Unit": "Count"}
    one.cloudwatch.put_metric_data(Namespace="Mine", MetricData=[datum] * 200)  # packed by the client
    aws(
        one.api, aws_command, "cloudwatch", "put-metric-alarm", "--alarm-name", "frames", "--namespace", "Mine",
        "--metric-name", "Frames", "--dimensions", "Name=EndpointName,Value=manual", "--statistic", "Maximum",
        "--period", "60", "--evaluation-periods", "1", "--threshold", "1000", "--treat-missing-data", "notBreaching",
        "--comparison-operator", "GreaterThanThreshold", "--alarm-actions", policy,
    )  # fmt: skip
    one.cloudwatch.set_alarm_state(AlarmName="frames", StateValue="ALARM", StateReason="a try")
    eventually(lambda: one.counts == (2, 2))
    (entry,) = one.cloudwatch.describe_alarms(AlarmNames=["frames"])["MetricAlarms"]
    assert entry["AlarmActions"] == [policy]
    now = datetime.now(UTC)
    points = one.cloudwatch.get_metric_statistics(
        Namespace="Mine", MetricName="Frames", Dimensions=own, Period=60, Statistics=["Average", "SampleCount"],
        StartTime=now - timedelta(minutes=5), EndTime=now + timedelta(minutes=1),
    )["Datapoints"]  # fmt: skip
    assert sum(point["SampleCount"] for point in points) == 600
    with pytest.raises(one.cloudwatch.exceptions.InvalidParameterValueException, match="AWS/"):
        one.cloudwatch.put_metric_data(Namespace="AWS/SageMaker", MetricData=[datum])


def speaking(server, protocol):
    """A boto3 client of CloudWatch that speaks the protocol of another age, or of another language's."""
    session = botocore.session.get_session()
    metadata = session.get_component("data_loader").load_service_model("cloudwatch", "service-2")["metadata"]
    metadata |= {"protocol": protocol, "protocols": [protocol]}
    return session.create_client(
        "cloudwatch",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=server.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.variables["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.mark.parametrize(
    ("protocol", "media_type"),
    [
        ("query", "application/x-www-form-urlencoded; charset=utf-8"),
        ("json", "application/x-amz-json-1.0"),
        ("smithy-rpc-v2-cbor", "application/cbor"),
    ],
)
def test_cloudwatch_in_each_of_its_protocols(api, protocol, media_type):
    client = speaking(api.server, protocol)
    sent = []
    client.meta.events.register("before-send", lambda request, **_: sent.append(request.headers["Content-Type"]))
    which = {"Namespace": f"Of {protocol}", "MetricName": "m", "Dimensions": [{"Name": "a", "Value": "ä"}]}
    now = datetime.now(UTC)
    client.put_metric_data(
        Namespace=which["Namespace"],
        MetricData=[{**{key: which[key] for key in ("MetricName", "Dimensions")}, "Value": 2.5, "Timestamp": now}],
    )
    assert client.list_metrics(Namespace=which["Namespace"])["Metrics"] == [which]
    span = {"StartTime": now - timedelta(minutes=2), "EndTime": now + timedelta(minutes=2)}
    (point,) = client.get_metric_statistics(**which, **span, Period=60, Statistics=["Sum"])["Datapoints"]
    assert (point["Sum"], abs(point["Timestamp"] - now) < timedelta(minutes=1)) == (2.5, True)
    rule = {"Statistic": "Sum", "Period": 60, "EvaluationPeriods": 2, "Threshold": 3.5}
    client.put_metric_alarm(AlarmName="ä", ComparisonOperator="LessThanThreshold", **which, **rule)
    (alarm,) = client.describe_alarms(AlarmNames=["ä"])["MetricAlarms"]
    assert {key: alarm[key] for key in (*which, *rule)} == which | rule
    assert alarm["StateUpdatedTimestamp"] - now < timedelta(minutes=1)
    client.delete_alarms(AlarmNames=["ä"])
    with pytest.raises(ClientError, match="Unknown alarm: ä") as error:
        client.delete_alarms(AlarmNames=["ä"])
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"
    assert {one if isinstance(one, str) else one.decode() for one in sent} == {media_type}


def test_what_cannot_be_met_is_said(scaled, aws_command):
    one = scaled("manual")
    refused = one.scaling.exceptions.ValidationException
    with pytest.raises(one.scaling.exceptions.ObjectNotFoundException, match="No scalable target registered"):
        one.track(1, 1)
    with pytest.raises(refused, match="must be from 0 to the maximum"):
        one.register(3, 2)
    for resource, said in (
        ("endpoint/manual/variant/Blue", "There is no variant 'Blue'; valid: 'AllTraffic'"),
        ("endpoint/nobody/variant/AllTraffic", "There is no resource endpoint/nobody/variant/AllTraffic"),
    ):
        one.meant["ResourceId"] = resource
        with pytest.raises(refused, match=said):
            one.register(0, 2)
    one.meant["ResourceId"] = one.resource
    one.register(1, 2)
    with pytest.raises(refused, match="asynchronous endpoint is scaled by its backlog"):
        one.scaling.put_scaling_policy(
            **one.meant,
            PolicyName="p",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 70,
                "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            },
        )
    targets = aws(
        one.api, aws_command, "application-autoscaling", "describe-scalable-targets",
        "--service-namespace", "sagemaker", "--resource-ids", one.resource,
    )["ScalableTargets"]  # fmt: skip
    assert [(target["MinCapacity"], target["MaxCapacity"]) for target in targets] == [(1, 2)]
    shown = one.api.server.cli("endpoints", "show", "manual").stdout
    assert "scaled  1 to 2  (seatrial scale manual)" in shown
    one.scaling.deregister_scalable_target(**one.meant)
    with pytest.raises(one.scaling.exceptions.ObjectNotFoundException):
        one.scaling.deregister_scalable_target(**one.meant)


@pytest.mark.slow  # a server is killed and started again
def test_a_job_that_a_killed_server_left_at_zero_wakes_a_worker_of_the_next(scaled, eventually):
    one = scaled("tide")
    one.register(0, 3)
    one.track(1, 1)
    eventually(lambda: one.counts == (0, 0))
    left = one.api.submit("tide", "8")
    one.api.server.kill()
    one.api.server.start()
    one.api.reconnect()
    assert one.api.value(left) == 8
    assert Scaled(one.api, "tide").activities()[-1]["Cause"].startswith("no more than 0 were wanted for 1 s")
