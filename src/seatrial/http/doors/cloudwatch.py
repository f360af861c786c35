"""CloudWatch: figures over time by SageMaker's names, clients' own, and alarms."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.responses import Response

from seatrial.domain.access import outside, require
from seatrial.domain.alarms import Alarm, AlarmState
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import BadInput, NotFound
from seatrial.domain.limits import METRIC_DATA_BYTES_MAX
from seatrial.domain.series import MINUTE_MS, Metric, periods
from seatrial.engine.figures import ENDPOINT, UNITS
from seatrial.http import aws_cbor, aws_json, aws_query
from seatrial.http.aws_json import Operation
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects import cloudwatch as dialect
from seatrial.http.dialects.autoscaling import is_policy_arn, policy_id
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.services import Services

_DEPLOY, _LOOK = (KeyScope.DEPLOY,), (KeyScope.READ, KeyScope.DEPLOY)
_RECENT_MINUTES = 180  # RecentlyActive PT3H

Request = dict[str, Any]
Serve = Callable[[AwsRequest, ServiceShapes, Mapping[str, Operation], str], Awaitable[Response]]


class CloudWatchDoor:
    """One method for each operation that is offered."""

    def __init__(self, services: Services) -> None:
        self._shapes = ServiceShapes("cloudwatch")
        self._figures = services.figures
        self._alarms = services.alarms
        self._scaler = services.scaler
        self._topics = services.topics
        self._clock = services.clock
        self._account_id = services.keyring.credentials.account_id
        self._operations: Mapping[str, Operation] = {
            "ListMetrics": Operation(self._list, _LOOK),
            "GetMetricStatistics": Operation(self._statistics, _LOOK),
            "GetMetricData": Operation(self._data, _LOOK),
            "PutMetricData": Operation(self._put_data, _DEPLOY),
            "PutMetricAlarm": Operation(self._put_alarm, _DEPLOY),
            "DescribeAlarms": Operation(self._describe_alarms, _LOOK),
            "DescribeAlarmsForMetric": Operation(self._describe_for_metric, _LOOK),
            "DescribeAlarmHistory": Operation(self._history, _LOOK),
            "DeleteAlarms": Operation(self._delete_alarms, _DEPLOY),
            "SetAlarmState": Operation(self._set_state, _DEPLOY),
            "EnableAlarmActions": Operation(partial(self._switch_actions, enabled=True), _DEPLOY),
            "DisableAlarmActions": Operation(partial(self._switch_actions, enabled=False), _DEPLOY),
        }

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError."""
        try:
            return await _server_of(call)(_unpacked(call), self._shapes, self._operations, "ValidationError")
        except BadInput as error:
            raise dialect.invalid(error.sentence) from None

    # ------------------------------------------------------------------ metrics

    async def _list(self, call: AwsRequest, request: Request) -> Request:
        now = self._clock.now_ms() // MINUTE_MS
        oldest = now - _RECENT_MINUTES if "RecentlyActive" in request else 0
        found = [
            one
            for one in self._figures.metrics()
            if _reaches(call.principal, one) and max(self._figures.points(one), default=0) >= oldest
        ]
        return dialect.listing(found, request)

    async def _statistics(self, call: AwsRequest, request: Request) -> Request:
        which = _reached(call.principal, dialect.named(request))
        start, end = dialect.span(request)
        found = periods(self._figures.points(which), start, end, dialect.period(request["Period"]))
        return dialect.statistics(request, found, self._unit(which))

    async def _data(self, call: AwsRequest, request: Request) -> Request:
        start, end = dialect.span(request)
        answers = []
        for query, which, statistic, seconds in dialect.queries(request):
            found = periods(self._figures.points(_reached(call.principal, which)), start, end, seconds)
            answers.append((query, [(at_ms, point.statistic(statistic)) for at_ms, point in found]))
        return dialect.metric_data(request, answers)

    async def _put_data(self, call: AwsRequest, request: Request) -> Request:
        for which, point, at_ms in dialect.samples(request, self._clock.now_ms()):
            if not self._figures.put(_reached(call.principal, which), point, at_ms):
                raise dialect.invalid(f"There are too many metrics already: {which.name!r} was not kept.")
        return {}

    def _unit(self, which: Metric) -> str | None:
        return UNITS.get(which.name) if self._figures.is_own(which) else None

    # ------------------------------------------------------------------ alarms

    async def _put_alarm(self, call: AwsRequest, request: Request) -> Request:
        alarm = dialect.alarm(request, call.principal.owner, self._clock.now_ms())
        _reached(call.principal, alarm.rule.metric)
        self._reached_alarms(call.principal, [alarm.name])
        for arn in sorted({arn for arns in alarm.actions.values() for arn in arns}):
            await self._check_action(call.principal, arn)
        await self._alarms.put(alarm)
        return {}

    async def _check_action(self, principal: Principal, arn: str) -> None:
        """An alarm does nothing that who made it may not do. Raises AwsError, Forbidden."""
        if is_policy_arn(arn):
            endpoint = await self._scaler.endpoint_of(policy_id(arn))
            if endpoint is None:
                raise dialect.invalid(f"There is no scaling policy {arn}: put it first (PutScalingPolicy).")
            require(principal, KeyScope.DEPLOY, endpoint=endpoint)
        elif not dialect.is_topic_arn(arn):
            raise dialect.invalid(f"The action {arn} is not offered here; valid: scaling policies and SNS topics.")
        elif principal.endpoints is not None:
            raise outside(principal, "topic", arn)
        else:
            await self._check_topic(principal, arn)

    async def _check_topic(self, principal: Principal, arn: str) -> None:
        try:
            await self._topics.topic(principal.owner, arn)
        except NotFound as error:
            raise dialect.invalid(f"{error.message} Make it first (CreateTopic).") from None

    async def _describe_alarms(self, call: AwsRequest, request: Request) -> Request:
        found = [one for one in self._shown(call.principal) if dialect.is_asked_for(one, request)]
        page, token = dialect.page([dialect.described(one, call.region, self._account_id) for one in found], request)
        return {"MetricAlarms": page, "CompositeAlarms": [], **token}

    async def _describe_for_metric(self, call: AwsRequest, request: Request) -> Request:
        which = dialect.named(request)
        found = [
            dialect.described(one, call.region, self._account_id)
            for one in self._shown(call.principal)
            if one.rule.metric == which
            and request.get("Statistic", one.rule.statistic.value) == one.rule.statistic.value
            and request.get("Period", one.rule.period_seconds) == one.rule.period_seconds
        ]
        return {"MetricAlarms": found}

    async def _history(self, call: AwsRequest, request: Request) -> Request:
        shown = {one.name for one in self._shown(call.principal)}
        events = [
            dialect.history_entry(one)
            for one in self._alarms.history()
            if one.alarm in shown
            and request.get("AlarmName", one.alarm) == one.alarm
            and request.get("HistoryItemType", one.kind) == one.kind
            and request.get("StartDate", 0) <= one.at_ms / 1000 <= request.get("EndDate", float("inf"))
        ]
        if request.get("ScanBy") == "TimestampAscending":
            events.reverse()
        page, token = dialect.page(events, request)
        return {"AlarmHistoryItems": page, **token}

    async def _delete_alarms(self, call: AwsRequest, request: Request) -> Request:
        self._check_known(call.principal, request["AlarmNames"])
        try:
            await self._alarms.delete(request["AlarmNames"])
        except NotFound:
            missing = [one for one in request["AlarmNames"] if one not in {had.name for had in self._alarms.alarms()}]
            raise dialect.unknown_alarm(", ".join(missing)) from None
        return {}

    async def _set_state(self, call: AwsRequest, request: Request) -> Request:
        name = request["AlarmName"]
        self._check_known(call.principal, [name])
        try:
            await self._alarms.set_state(
                name, AlarmState(request["StateValue"]), request["StateReason"], request.get("StateReasonData")
            )
        except NotFound:
            raise dialect.unknown_alarm(name) from None
        return {}

    async def _switch_actions(self, call: AwsRequest, request: Request, enabled: bool) -> Request:
        names = request["AlarmNames"]
        self._check_known(call.principal, names)
        for name in names:
            now_ms = self._clock.now_ms()
            alarm = self._alarms.alarm(name)
            await self._alarms.put(replace(alarm, actions_enabled=enabled, configured_at_ms=now_ms))
        return {}

    # ------------------------------------------------------------------ inside

    def _shown(self, principal: Principal) -> list[Alarm]:
        return [one for one in self._alarms.alarms() if _reaches(principal, one.rule.metric)]

    def _check_known(self, principal: Principal, names: list[str]) -> None:
        """An alarm on what is out of reach is as unknown as one that never was. Raises AwsError."""
        known = {one.name for one in self._shown(principal)}
        missing = [one for one in names if one not in known]
        if missing:
            raise dialect.unknown_alarm(", ".join(missing))

    def _reached_alarms(self, principal: Principal, names: list[str]) -> None:
        """An alarm on what is out of reach is not replaced. Raises Forbidden."""
        for one in self._alarms.alarms():
            if one.name in names:
                _reached(principal, one.rule.metric)


def _server_of(call: AwsRequest) -> Serve:
    """CloudWatch's clients speak three protocols: by their age, and by their language."""
    if aws_cbor.is_asked(call):
        return aws_cbor.serve
    return aws_json.serve if "x-amz-target" in call.request.headers else aws_query.serve


def _reaches(principal: Principal, which: Metric) -> bool:
    """A metric belongs to the endpoint that its dimension names; one without belongs to keys that reach everything."""
    endpoint = which.dimension(ENDPOINT)
    return principal.endpoints is None or (endpoint is not None and principal.reaches(endpoint))


def _reached(principal: Principal, which: Metric) -> Metric:
    """The metric, if it is in reach. Raises Forbidden."""
    if not _reaches(principal, which):
        raise outside(principal, "endpoint", which.dimension(ENDPOINT) or which.name)
    return which


def _unpacked(call: AwsRequest) -> AwsRequest:
    """Clients pack larger bodies of PutMetricData; beyond METRIC_DATA_BYTES_MAX nothing is unpacked."""
    if call.request.headers.get("content-encoding", "").strip().lower() != "gzip":
        return call
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(call.body, METRIC_DATA_BYTES_MAX)
    except zlib.error as error:
        raise AwsError("SerializationException", f"The body is not gzip: {error}") from None
    if not unpacker.eof:
        raise AwsError(
            "RequestEntityTooLargeException", f"The body unpacks to more than {METRIC_DATA_BYTES_MAX} bytes.", 413
        )
    return replace(call, body=body)
