"""CloudWatch: metrics, their statistics, and alarms.

Shapes are those of botocore's service model of 2010-08-01. The form of an alarm's message is that which CloudWatch
sends to SNS ("Alarm notification format" in its user guide).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from seatrial.domain.alarms import Alarm, AlarmEvent, AlarmRule, AlarmState, Comparison, Missing
from seatrial.domain.limits import ALARM_SPAN_SECONDS_MAX, METRIC_DATUMS_MAX, METRIC_MINUTES_KEPT
from seatrial.domain.series import MINUTE_MS, Metric, Point, Statistic, merged, metric
from seatrial.http.dialects.aws_errors import AwsError

STATISTICS_DATAPOINTS_MAX = 1_440  # of one answer of GetMetricStatistics, as at AWS
LISTED = 500  # metrics of one page, as at AWS
ACTIONS = {
    "OKActions": AlarmState.OK,
    "AlarmActions": AlarmState.ALARM,
    "InsufficientDataActions": AlarmState.INSUFFICIENT,
}
_UNKNOWN_MEMBERS = (
    "ExtendedStatistic",
    "EvaluateLowSampleCountPercentile",
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
)


def _error(code: str, message: str, status: int = 400) -> AwsError:
    """CloudWatch came from the Query protocol: its clients read the code from a header."""
    return AwsError(code, message, status, headers={"x-amzn-query-error": f"{code};Sender"})


def invalid(message: str) -> AwsError:
    """A value that cannot be met."""
    return _error("InvalidParameterValue", message)


def incompatible(message: str) -> AwsError:
    """Members that exclude each other, or need each other."""
    return _error("InvalidParameterCombination", message)


def lacking(message: str) -> AwsError:
    """A member that is needed."""
    return _error("MissingParameter", message)


def unknown_alarm(name: str) -> AwsError:
    """There is no such alarm."""
    return _error("ResourceNotFound", f"Unknown alarm: {name}", 404)


def bad_token() -> AwsError:
    """A NextToken that is none of ours."""
    return _error("InvalidNextToken", "The NextToken is not one of this listing's.")


# ---------------------------------------------------------------- metrics


def named(request: Mapping[str, Any]) -> Metric:
    """The metric by its Namespace, MetricName and Dimensions."""
    dimensions = {one["Name"]: one["Value"] for one in request.get("Dimensions", ())}
    return metric(request["Namespace"], request["MetricName"], dimensions)


def told(which: Metric) -> dict[str, Any]:
    """A metric as AWS names it."""
    dimensions = [{"Name": name, "Value": value} for name, value in which.dimensions]
    return {"Namespace": which.namespace, "MetricName": which.name, "Dimensions": dimensions}


def statistic(word: str) -> Statistic:
    """Raises AwsError: a percentile or a trimmed mean: only totals are kept of a minute."""
    try:
        return Statistic(word)
    except ValueError:
        raise invalid(f"The statistic {word!r} is not offered here; valid: {', '.join(Statistic)}.") from None


def period(seconds: int) -> int:
    """Raises AwsError: not whole minutes."""
    if seconds < 60 or seconds % 60:
        raise invalid(f"Period must be a multiple of 60 seconds, not {seconds}: points are kept by the minute.")
    return seconds


def span(request: Mapping[str, Any]) -> tuple[int, int]:
    """StartTime and EndTime in milliseconds. Raises AwsError."""
    start, end = int(request["StartTime"] * 1000), int(request["EndTime"] * 1000)
    if start >= end:
        raise invalid("The parameter StartTime must be less than the parameter EndTime.")
    return start, end


def listing(found: Sequence[Metric], request: Mapping[str, Any]) -> dict[str, Any]:
    """A page of ListMetrics."""
    dimensions = {one["Name"]: one.get("Value") for one in request.get("Dimensions", ())}
    shown = [one for one in found if one.matches(request.get("Namespace"), request.get("MetricName"), dimensions)]
    begin = offset(request)
    page, rest = shown[begin : begin + LISTED], len(shown) > begin + LISTED
    return {"Metrics": [told(one) for one in page], **({"NextToken": str(begin + LISTED)} if rest else {})}


def offset(request: Mapping[str, Any]) -> int:
    """Where a page begins. Raises AwsError."""
    token = str(request.get("NextToken", "0"))
    if not token.isdecimal() or len(token) > 12:
        raise bad_token()
    return int(token)


def statistics(request: Mapping[str, Any], points: Sequence[tuple[int, Point]], unit: str | None) -> dict[str, Any]:
    """GetMetricStatistics. Raises AwsError: too many datapoints, or no statistic asked for."""
    if "ExtendedStatistics" in request:
        raise invalid(f"ExtendedStatistics are not offered here; valid: Statistics of {', '.join(Statistic)}.")
    asked = [Statistic(one) for one in request.get("Statistics", ())]
    if not asked:
        raise lacking("At least one of the parameters Statistics and ExtendedStatistics must be given.")
    if len(points) > STATISTICS_DATAPOINTS_MAX:
        raise incompatible(
            f"You have requested up to {len(points)} datapoints, which exceeds the limit of "
            f"{STATISTICS_DATAPOINTS_MAX}: increase the Period, or shorten the time range."
        )
    return {
        "Label": request["MetricName"],
        "Datapoints": [
            {
                "Timestamp": at_ms / 1000,
                "Unit": request.get("Unit") or unit or "None",
                **{one.value: point.statistic(one) for one in asked},
            }
            for at_ms, point in points
        ],
    }


def queries(request: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Metric, Statistic, int]]:
    """Each query of GetMetricData that is to be answered: itself, its metric, its statistic, its period in seconds.

    Raises:
        AwsError: an expression, or a statistic that is not offered.
    """
    found = []
    for one in request["MetricDataQueries"]:
        if "MetricStat" not in one:
            raise _error("ValidationError", f"The query {one['Id']!r} has no MetricStat: expressions are not offered.")
        stat = one["MetricStat"]
        for name in ("Namespace", "MetricName"):
            if name not in stat["Metric"]:
                raise _error("ValidationError", f"The query {one['Id']!r} needs MetricStat.Metric.{name}.")
        if one.get("ReturnData", True):
            found.append((one, named(stat["Metric"]), statistic(stat["Stat"]), period(stat["Period"])))
    return found


def metric_data(
    request: Mapping[str, Any], answers: Iterable[tuple[Mapping[str, Any], list[tuple[int, float]]]]
) -> dict[str, Any]:
    """GetMetricData: a page of at most MaxDatapoints values. Raises AwsError."""
    most = request.get("MaxDatapoints", METRIC_DATUMS_MAX)
    if not 1 <= most <= METRIC_DATUMS_MAX:
        raise invalid(f"MaxDatapoints must be from 1 to {METRIC_DATUMS_MAX}, not {most}.")
    ascending = request.get("ScanBy") == "TimestampAscending"
    skip, left, results, more = offset(request), most, [], False
    begin = skip
    for query, values in answers:
        ordered = values if ascending else values[::-1]
        page = ordered[skip : skip + left]
        rest = len(ordered) - skip - len(page)
        skip, left = max(0, skip - len(ordered)), left - len(page)
        more = more or rest > 0
        results.append(
            {
                "Id": query["Id"],
                "Label": query.get("Label") or query["MetricStat"]["Metric"]["MetricName"],
                "Timestamps": [at_ms / 1000 for at_ms, _ in page],
                "Values": [value for _, value in page],
                "StatusCode": "PartialData" if rest > 0 else "Complete",
            }
        )
    return {"MetricDataResults": results, "Messages": [], **({"NextToken": str(begin + most)} if more else {})}


def samples(request: Mapping[str, Any], now_ms: int) -> list[tuple[Metric, Point, int]]:
    """What PutMetricData brings: metric, samples, and their time in milliseconds since the epoch.

    Raises:
        AwsError: a namespace of AWS's, a value that is none, or a time that is not kept.
    """
    namespace = request["Namespace"]
    if namespace.startswith("AWS/"):
        raise invalid("The value AWS/ for parameter Namespace is invalid: it is for the service's own metrics.")
    found = []
    for number, one in enumerate(request.get("MetricData", ()), start=1):
        at_ms = int(one["Timestamp"] * 1000) if "Timestamp" in one else now_ms
        if not now_ms - METRIC_MINUTES_KEPT * MINUTE_MS < at_ms <= now_ms + 2 * 60 * MINUTE_MS:
            hours = METRIC_MINUTES_KEPT // 60
            raise invalid(f"MetricData.member.{number}.Timestamp must be of the last {hours} hours.")
        found.append((named({**one, "Namespace": namespace}), _point(one, number), at_ms))
    return found


def _point(one: Mapping[str, Any], number: int) -> Point:
    where = f"MetricData.member.{number}"
    forms = [name for name in ("Value", "StatisticValues", "Values") if name in one]
    if len(forms) != 1:
        raise incompatible(f"{where} needs exactly one of Value, StatisticValues and Values; given: {forms}.")
    if "Value" in one:
        point = Point(1, one["Value"], one["Value"], one["Value"])
    elif "StatisticValues" in one:
        told = one["StatisticValues"]
        point = Point(told["SampleCount"], told["Sum"], told["Minimum"], told["Maximum"])
    else:
        values = one["Values"]
        counts = one.get("Counts", [1] * len(values))
        if len(counts) != len(values) or not values:
            raise incompatible(f"{where}.Counts must have one entry for each of Values.")
        pairs = zip(values, counts, strict=True)
        point = merged(Point(count, count * value, value, value) for value, count in pairs) or Point(0, 0, 0, 0)
    finite = all(abs(value) <= 2.0**360 for value in (point.count, point.total, point.low, point.high))
    if not finite or point.count <= 0:
        raise invalid(f"{where} must hold finite numbers, and at least one sample.")
    return point


# ---------------------------------------------------------------- alarms


def alarm(request: Mapping[str, Any], owner: str, now_ms: int) -> Alarm:
    """What PutMetricAlarm asks for. Raises AwsError."""
    for name in _UNKNOWN_MEMBERS:
        if name in request:
            raise invalid(f"{name} is not offered here.")
    asked = {**request, **_from_metrics(request)}
    for name in ("MetricName", "Namespace", "Statistic", "Period", "EvaluationPeriods", "Threshold"):
        if name not in asked:
            raise lacking(f"The parameter {name} must be given.")
    if "ComparisonOperator" not in asked:
        raise lacking("The parameter ComparisonOperator must be given.")
    rule = AlarmRule(
        metric=named(asked),
        statistic=Statistic(asked["Statistic"]),
        period_seconds=period(asked["Period"]),
        evaluation_periods=asked["EvaluationPeriods"],
        datapoints=asked.get("DatapointsToAlarm", asked["EvaluationPeriods"]),
        comparison=_word(Comparison, "ComparisonOperator", asked["ComparisonOperator"]),
        threshold=float(asked["Threshold"]),
        missing=_word(Missing, "TreatMissingData", asked.get("TreatMissingData", "missing")),
    )
    if not 1 <= rule.datapoints <= rule.evaluation_periods:
        raise invalid("DatapointsToAlarm must be from 1 to EvaluationPeriods.")
    if rule.evaluation_periods * rule.period_seconds > ALARM_SPAN_SECONDS_MAX:
        raise incompatible(f"EvaluationPeriods x Period must be at most {ALARM_SPAN_SECONDS_MAX} seconds.")
    return Alarm(
        name=request["AlarmName"],
        owner=owner,
        rule=rule,
        actions={state: tuple(request[name]) for name, state in ACTIONS.items() if request.get(name)},
        actions_enabled=request.get("ActionsEnabled", True),
        description=request.get("AlarmDescription"),
        unit=request.get("Unit"),
        configured_at_ms=now_ms,
        since_ms=now_ms,
    )


def _from_metrics(request: Mapping[str, Any]) -> dict[str, Any]:
    """One MetricStat in `Metrics` says the same as the members beside it."""
    metrics = request.get("Metrics")
    if not metrics:
        return {}
    if len(metrics) != 1 or "MetricStat" not in metrics[0]:
        raise invalid("Metrics with expressions (metric math) are not offered here: give one MetricStat.")
    stat = metrics[0]["MetricStat"]
    return {**stat["Metric"], "Statistic": statistic(stat["Stat"]).value, "Period": stat["Period"]}


def _word(words: Any, name: str, said: str) -> Any:
    try:
        return words(said)
    except ValueError:
        raise invalid(f"{name} {said!r} is not offered here; valid: {', '.join(words)}.") from None


def alarm_arn(name: str, region: str, account_id: str) -> str:
    """The ARN of an alarm."""
    return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{name}"


def described(one: Alarm, region: str, account_id: str) -> dict[str, Any]:
    """An entry of DescribeAlarms."""
    entry: dict[str, Any] = {
        "AlarmName": one.name,
        "AlarmArn": alarm_arn(one.name, region, account_id),
        "AlarmConfigurationUpdatedTimestamp": one.configured_at_ms / 1000,
        "ActionsEnabled": one.actions_enabled,
        **{name: list(one.actions.get(state, ())) for name, state in ACTIONS.items()},
        "StateValue": one.state.value,
        "StateReason": one.reason,
        "StateUpdatedTimestamp": one.since_ms / 1000,
        "StateTransitionedTimestamp": one.since_ms / 1000,
        **told(one.rule.metric),
        "Statistic": one.rule.statistic.value,
        "Period": one.rule.period_seconds,
        "EvaluationPeriods": one.rule.evaluation_periods,
        "DatapointsToAlarm": one.rule.datapoints,
        "Threshold": one.rule.threshold,
        "ComparisonOperator": one.rule.comparison.value,
        "TreatMissingData": one.rule.missing.value,
    }
    optional = {"AlarmDescription": one.description, "StateReasonData": one.reason_data, "Unit": one.unit}
    return entry | {name: value for name, value in optional.items() if value is not None}


def is_asked_for(one: Alarm, request: Mapping[str, Any]) -> bool:
    """Whether DescribeAlarms with these filters shows it."""
    arns = [arn for actions in one.actions.values() for arn in actions]
    return (
        (not request.get("AlarmNames") or one.name in request["AlarmNames"])
        and one.name.startswith(request.get("AlarmNamePrefix", ""))
        and request.get("StateValue", one.state.value) == one.state.value
        and ("ActionPrefix" not in request or any(arn.startswith(request["ActionPrefix"]) for arn in arns))
        and "MetricAlarm" in (request.get("AlarmTypes") or ["MetricAlarm"])
    )


def page(entries: Sequence[Mapping[str, Any]], request: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """The entries of a page of at most MaxRecords (100), and its NextToken if there are more."""
    begin, count = offset(request), request.get("MaxRecords", 100)
    rest = len(entries) > begin + count
    return list(entries[begin : begin + count]), {"NextToken": str(begin + count)} if rest else {}


def history_entry(event: AlarmEvent) -> dict[str, Any]:
    """An entry of DescribeAlarmHistory."""
    return {
        "AlarmName": event.alarm,
        "AlarmType": "MetricAlarm",
        "Timestamp": event.at_ms / 1000,
        "HistoryItemType": event.kind,
        "HistorySummary": event.summary,
        "HistoryData": json.dumps({"version": "1.0", **event.data}),
    }


def is_topic_arn(arn: str) -> bool:
    """Whether an action is a topic."""
    return arn.startswith("arn:aws:sns:")


def subject(one: Alarm, region: str) -> str:
    """Of the message to a topic; at most 100 characters, as SNS takes them."""
    return f'{one.state}: "{one.name}" in {region}'[:100]


def message(one: Alarm, before: AlarmState, region: str, account_id: str) -> str:
    """What a topic is told of an alarm that has changed."""
    rule = one.rule
    return json.dumps(
        {
            "AlarmName": one.name,
            "AlarmDescription": one.description,
            "AWSAccountId": account_id,
            "AlarmConfigurationUpdatedTimestamp": _instant(one.configured_at_ms),
            "NewStateValue": one.state.value,
            "NewStateReason": one.reason,
            "StateChangeTime": _instant(one.since_ms),
            "Region": region,
            "AlarmArn": alarm_arn(one.name, region, account_id),
            "OldStateValue": before.value,
            **{name: list(one.actions.get(state, ())) for name, state in ACTIONS.items()},
            "Trigger": {
                "MetricName": rule.metric.name,
                "Namespace": rule.metric.namespace,
                "StatisticType": "Statistic",
                "Statistic": "SAMPLE_COUNT" if rule.statistic is Statistic.COUNT else rule.statistic.value.upper(),
                "Unit": one.unit,
                "Dimensions": [{"value": value, "name": name} for name, value in rule.metric.dimensions],
                "Period": rule.period_seconds,
                "EvaluationPeriods": rule.evaluation_periods,
                "DatapointsToAlarm": rule.datapoints,
                "ComparisonOperator": rule.comparison.value,
                "Threshold": rule.threshold,
                "TreatMissingData": rule.missing.value,
                "EvaluateLowSampleCountPercentile": "",
            },
        }
    )


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
