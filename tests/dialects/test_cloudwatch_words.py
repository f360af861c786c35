"""What CloudWatch's calls and messages are made of."""

from __future__ import annotations

import json

import pytest

from seatrial.domain.alarms import AlarmState, Missing
from seatrial.domain.series import MINUTE_MS, Point
from seatrial.http.dialects import cloudwatch as dialect
from seatrial.http.dialects.aws_errors import AwsError

ASKED = {
    "AlarmName": "slow",
    "AlarmDescription": "too slow",
    "Namespace": "AWS/SageMaker",
    "MetricName": "ModelLatency",
    "Dimensions": [{"Name": "VariantName", "Value": "All"}, {"Name": "EndpointName", "Value": "plans"}],
    "Statistic": "Average",
    "Period": 300,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 1_000_000,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
    "AlarmActions": ["arn:aws:sns:here:1:oncall"],
}
NOW_MS = 1_795_660_530_123


def test_a_topic_is_told_what_cloudwatch_tells() -> None:
    alarm = dialect.alarm(ASKED, "owner", NOW_MS)
    assert alarm.rule.missing is Missing.NOT_BREACHING
    told = json.loads(dialect.message(alarm, AlarmState.OK, "us-east-1", "000000000000"))
    assert told["AlarmArn"] == "arn:aws:cloudwatch:us-east-1:000000000000:alarm:slow"
    assert (told["OldStateValue"], told["NewStateValue"]) == ("OK", "INSUFFICIENT_DATA")
    assert told["StateChangeTime"] == "2026-11-26T02:35:30.123+0000"
    assert told["AlarmActions"] == ASKED["AlarmActions"]
    assert told["Trigger"] == {
        "MetricName": "ModelLatency",
        "Namespace": "AWS/SageMaker",
        "StatisticType": "Statistic",
        "Statistic": "AVERAGE",
        "Unit": None,
        "Dimensions": [{"value": "plans", "name": "EndpointName"}, {"value": "All", "name": "VariantName"}],
        "Period": 300,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 1e6,
        "TreatMissingData": "notBreaching",
        "EvaluateLowSampleCountPercentile": "",
    }
    assert dialect.subject(alarm, "us-east-1") == 'INSUFFICIENT_DATA: "slow" in us-east-1'


def test_one_metric_in_metrics_says_the_same() -> None:
    metric = {key: ASKED[key] for key in ("Namespace", "MetricName", "Dimensions")}
    rest = {key: value for key, value in ASKED.items() if key not in (*metric, "Statistic", "Period")}
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Average"}}
    assert dialect.alarm({**rest, "Metrics": [query]}, "owner", NOW_MS) == dialect.alarm(ASKED, "owner", NOW_MS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Period": 10}, "multiple of 60"),
        ({"Period": 86_400}, "at most 86400 seconds"),
        ({"DatapointsToAlarm": 4}, "from 1 to EvaluationPeriods"),
        ({"TreatMissingData": "perhaps"}, "valid: missing, breaching, notBreaching, ignore"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "is not offered here; valid: GreaterThanThreshold"),
        ({"Metrics": [{"Id": "e", "Expression": "a+b"}]}, "metric math"),
        ({"ExtendedStatistic": "p99"}, "ExtendedStatistic is not offered"),
    ],
)
def test_what_an_alarm_cannot_be(change: dict[str, object], said: str) -> None:
    with pytest.raises(AwsError, match=said):
        dialect.alarm({**ASKED, **change}, "owner", NOW_MS)


def test_an_answer_of_metric_data_goes_on_where_its_page_ended() -> None:
    queries = [{"Id": name, "MetricStat": {"Metric": {"MetricName": name}}} for name in ("a", "b")]
    answers = [(query, [(minute * MINUTE_MS, float(minute)) for minute in range(5)]) for query in queries]
    request: dict[str, object] = {"MaxDatapoints": 3, "ScanBy": "TimestampAscending"}
    values: dict[str, list[float]] = {"a": [], "b": []}
    pages = 0
    while True:
        told = dialect.metric_data(request, answers)
        pages += 1
        for result in told["MetricDataResults"]:
            values[result["Id"]] += result["Values"]
        if "NextToken" not in told:
            break
        request["NextToken"] = told["NextToken"]
    assert pages == 4
    assert values == {"a": [0, 1, 2, 3, 4], "b": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("datum", "said"),
    [
        ({"Value": 1.0, "Values": [1.0]}, "exactly one of"),
        ({}, "exactly one of"),
        ({"Values": [1.0], "Counts": [1.0, 2.0]}, "one entry for each"),
        ({"Value": 2.0**361}, "finite"),
        ({"StatisticValues": {"SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0}}, "at least one sample"),
        ({"Value": 1.0, "Timestamp": NOW_MS / 1000 - 100_000}, "of the last 24 hours"),
    ],
)
def test_what_no_sample_is(datum: dict[str, object], said: str) -> None:
    with pytest.raises(AwsError, match=said):
        dialect.samples({"Namespace": "Mine", "MetricData": [{"MetricName": "m", **datum}]}, NOW_MS)


def test_samples_that_come_together() -> None:
    datum = {"MetricName": "m", "Values": [1.0, 4.0], "Counts": [3.0, 1.0]}
    ((_, point, at_ms),) = dialect.samples({"Namespace": "Mine", "MetricData": [datum]}, NOW_MS)
    assert (point, at_ms) == (Point(4, 7, 1, 4), NOW_MS)
