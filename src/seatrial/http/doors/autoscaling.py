"""Application Auto Scaling: how the workers of endpoints are scaled, by AWS's calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope
from seatrial.domain.endpoint import Endpoint
from seatrial.domain.errors import ENDPOINT_NOT_FOUND, BadInput, NotFound
from seatrial.domain.limits import LIST_PAGE_MAX, WORKERS_PER_ENDPOINT_MAX
from seatrial.domain.scaling import Plan, Policy, problem_of_limits
from seatrial.http import aws_json
from seatrial.http.aws_json import Operation
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects import autoscaling as dialect
from seatrial.http.dialects import sagemaker
from seatrial.http.dialects.autoscaling import Resource
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.services import Services

_DEPLOY, _LOOK = (KeyScope.DEPLOY,), (KeyScope.READ, KeyScope.DEPLOY)
_PAGE_DEFAULT = 50  # AWS's own

Request = dict[str, Any]


class AutoScalingDoor:
    """One method for each operation that is offered."""

    def __init__(self, services: Services) -> None:
        self._shapes = ServiceShapes("application-autoscaling")
        self._scaler = services.scaler
        self._alarms = services.alarms
        self._deployer = services.deployer
        self._account_id = services.keyring.credentials.account_id
        self._operations: Mapping[str, Operation] = {
            "RegisterScalableTarget": Operation(self._register, _DEPLOY),
            "DeregisterScalableTarget": Operation(self._deregister, _DEPLOY),
            "DescribeScalableTargets": Operation(self._targets, _LOOK),
            "PutScalingPolicy": Operation(self._put_policy, _DEPLOY),
            "DeleteScalingPolicy": Operation(self._delete_policy, _DEPLOY),
            "DescribeScalingPolicies": Operation(self._policies, _LOOK),
            "DescribeScalingActivities": Operation(self._activities, _LOOK),
            "DescribeScheduledActions": Operation(self._scheduled, _LOOK),
        }

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError."""
        try:
            return await aws_json.serve(call, self._shapes, self._operations, "ValidationException")
        except BadInput as error:
            raise dialect.invalid(error.sentence) from None

    # ------------------------------------------------------------------ targets

    async def _register(self, call: AwsRequest, request: Request) -> Request:
        meant = await self._meant(call, request)
        paused = request.get("SuspendedState", {})
        low, high = request.get("MinCapacity"), request.get("MaxCapacity")
        if low is not None and high is not None:
            problem = problem_of_limits(low, high, WORKERS_PER_ENDPOINT_MAX)
            if problem is not None:
                raise dialect.invalid(problem)
        await self._scaler.set_limits(
            meant.endpoint,
            low,
            high,
            paused_in=paused.get("DynamicScalingInSuspended"),
            paused_out=paused.get("DynamicScalingOutSuspended"),
            paused_schedules=paused.get("ScheduledScalingSuspended"),
        )
        return {"ScalableTargetARN": dialect.target_arn(meant, call.region, self._account_id)}

    async def _deregister(self, call: AwsRequest, request: Request) -> Request:
        meant = await self._meant(call, request)
        try:
            await self._scaler.drop_plan(meant.endpoint)
        except NotFound:
            raise dialect.no_target(meant) from None
        return {}

    async def _targets(self, call: AwsRequest, request: Request) -> Request:
        dialect.check_service(request)
        wanted = request.get("ResourceIds")
        found = [
            dialect.target(plan, meant, call.region, self._account_id)
            async for meant, plan in self._planned(call)
            if not wanted or meant.id in wanted
        ]
        return _page("ScalableTargets", found, request, "ResourceId")

    async def _scheduled(self, call: AwsRequest, request: Request) -> Request:
        dialect.check_service(request)
        return {"ScheduledActions": []}  # none can be put

    # ------------------------------------------------------------------ policies

    async def _put_policy(self, call: AwsRequest, request: Request) -> Request:
        meant = await self._meant(call, request)
        rule = dialect.rule(request, meant)
        try:
            policy = await self._scaler.put_policy(meant.endpoint, request["PolicyName"], rule)
        except NotFound:
            raise dialect.no_target(meant) from None
        return {
            "PolicyARN": dialect.policy_arn(policy, meant, call.region, self._account_id),
            "Alarms": self._alarms_of(policy, call.region),
        }

    async def _delete_policy(self, call: AwsRequest, request: Request) -> Request:
        meant = await self._meant(call, request)
        try:
            await self._scaler.delete_policy(meant.endpoint, request["PolicyName"])
        except NotFound as error:
            raise dialect.missing(error.message) from None
        return {}

    async def _policies(self, call: AwsRequest, request: Request) -> Request:
        dialect.check_service(request)
        names = request.get("PolicyNames")
        found = [
            dialect.policy(one, meant, call.region, self._account_id, self._alarms_of(one, call.region))
            async for meant, plan in self._planned(call)
            if request.get("ResourceId", meant.id) == meant.id
            for one in plan.policies
            if not names or one.name in names
        ]
        return _page("ScalingPolicies", found, request, "PolicyARN")

    def _alarms_of(self, policy: Policy, region: str) -> list[dict[str, str]]:
        """Alarms that run the policy. Target tracking has none here: it looks at the backlog itself."""
        acting = self._alarms.acting(lambda arn: dialect.is_policy_arn(arn) and dialect.policy_id(arn) == policy.id)
        prefix = f"arn:aws:cloudwatch:{region}:{self._account_id}:alarm:"
        return [{"AlarmName": one.name, "AlarmARN": prefix + one.name} for one in acting]

    # ------------------------------------------------------------------ activities

    async def _activities(self, call: AwsRequest, request: Request) -> Request:
        dialect.check_service(request)
        found: list[dict[str, Any]] = []
        for endpoint in await self._reached(call):
            meant = await self._resource(endpoint)
            if request.get("ResourceId", meant.id) == meant.id:
                events = await self._scaler.activities(endpoint.name, LIST_PAGE_MAX)
                found += [dialect.activity(one, meant) for one in events]
        found.sort(key=lambda one: (one["StartTime"], one["ActivityId"]), reverse=True)
        return _page("ScalingActivities", found, request, "ActivityId", ordered=True)

    # ------------------------------------------------------------------ inside

    async def _meant(self, call: AwsRequest, request: Request) -> Resource:
        """The endpoint that a request changes, in reach of its caller and with that variant."""
        dialect.check_service(request)
        meant = dialect.resource(request["ResourceId"])
        require(call.principal, KeyScope.DEPLOY, endpoint=meant.endpoint)
        try:
            own = await self._resource(await self._deployer.endpoint(meant.endpoint))
        except NotFound as error:
            if error.error_type != ENDPOINT_NOT_FOUND:
                raise
            raise dialect.invalid(f"There is no resource {meant.id}: {error.message}") from None
        if own != meant:
            raise dialect.invalid(f"There is no variant {meant.variant!r}; valid: {own.variant!r}.")
        return meant

    async def _planned(self, call: AwsRequest) -> AsyncIterator[tuple[Resource, Plan]]:
        for endpoint in await self._reached(call):
            plan = await self._scaler.plan(endpoint.name)
            if plan is not None:
                yield await self._resource(endpoint), plan

    async def _reached(self, call: AwsRequest) -> list[Endpoint]:
        return [one for one in await self._deployer.endpoints() if call.principal.reaches(one.name)]

    async def _resource(self, endpoint: Endpoint) -> Resource:
        shown = endpoint.active_version or endpoint.target_version
        version = None if shown is None else await self._deployer.version(shown)
        return Resource(endpoint.name, sagemaker.variant(endpoint, version))


def _page(
    member: str, found: Sequence[Mapping[str, Any]], request: Mapping[str, Any], key: str, *, ordered: bool = False
) -> dict[str, Any]:
    """A page of a listing; its token is the key of its last entry."""
    entries = list(found) if ordered else sorted(found, key=lambda one: str(one[key]))
    keys = [str(one[key]) for one in entries]
    begin = 0
    if "NextToken" in request:
        if request["NextToken"] not in keys:
            raise AwsError("InvalidNextTokenException", "The NextToken is not one of this listing's.")
        begin = keys.index(request["NextToken"]) + 1
    count = request.get("MaxResults", _PAGE_DEFAULT)
    if not 1 <= count <= LIST_PAGE_MAX:
        raise dialect.invalid(f"MaxResults must be from 1 to {LIST_PAGE_MAX}, not {count}.")
    page = entries[begin : begin + count]
    return {member: page, **({"NextToken": keys[begin + count - 1]} if begin + count < len(entries) else {})}
