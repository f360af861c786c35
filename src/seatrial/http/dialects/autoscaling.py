"""Application Auto Scaling: its words for the scaling of an endpoint's variant.

Shapes are those of botocore's service model of 2016-02-06. Only the namespace `sagemaker` is there, with the dimension
`sagemaker:variant:DesiredInstanceCount`, target tracking of the backlog, and step scaling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.domain.history import EndpointEvent
from seatrial.domain.limits import (
    SCALING_COOLDOWN_SECONDS_DEFAULT,
    SCALING_COOLDOWN_SECONDS_MAX,
    SCALING_STEPS_MAX,
)
from seatrial.domain.scaling import (
    BACKLOG_PER_INSTANCE,
    Adjustment,
    Plan,
    Policy,
    Step,
    Stepping,
    Tracking,
    problem_of_steps,
)
from seatrial.domain.series import NAMESPACE as METRICS
from seatrial.http.dialects.aws_errors import AwsError

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
ROLE = "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com"
ROLE_NAME = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
POLICY_MARK = ":scalingPolicy:"


@dataclass(frozen=True, slots=True)
class Resource:
    """`endpoint/NAME/variant/VARIANT`."""

    endpoint: str
    variant: str

    @property
    def id(self) -> str:
        """As AWS writes it."""
        return f"endpoint/{self.endpoint}/variant/{self.variant}"


def invalid(message: str) -> AwsError:
    """A request that is well formed and cannot be met."""
    return AwsError("ValidationException", message)


def missing(message: str) -> AwsError:
    """There is no such target or policy."""
    return AwsError("ObjectNotFoundException", message)


def no_target(resource: Resource) -> AwsError:
    """Nothing is registered for it; AWS's words."""
    return missing(
        f"No scalable target registered for service namespace: {NAMESPACE}, resource ID: {resource.id}, "
        f"scalable dimension: {DIMENSION}"
    )


def check_service(request: Mapping[str, Any]) -> None:
    """Raises AwsError: another service, or another dimension, is meant."""
    if request["ServiceNamespace"] != NAMESPACE:
        raise invalid(f"ServiceNamespace {request['ServiceNamespace']!r} is not offered here; valid: {NAMESPACE!r}.")
    if request.get("ScalableDimension", DIMENSION) != DIMENSION:
        raise invalid(f"ScalableDimension {request['ScalableDimension']!r} is not offered here; valid: {DIMENSION!r}.")


def resource(resource_id: str) -> Resource:
    """The endpoint and the variant that are meant. Raises AwsError."""
    words = resource_id.split("/")
    if len(words) != 4 or (words[0], words[2]) != ("endpoint", "variant") or not words[1] or not words[3]:
        raise invalid(f"ResourceId must be of the form endpoint/NAME/variant/VARIANT, not {resource_id[:200]!r}.")
    return Resource(words[1], words[3])


# ---------------------------------------------------------------- policies


def rule(request: Mapping[str, Any], meant: Resource) -> Tracking | Stepping:
    """What PutScalingPolicy asks for.

    Raises:
        AwsError: a kind, a metric or an adjustment that is not offered.
    """
    kind = request.get("PolicyType", "StepScaling")
    tracking, stepping = "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration"
    given = [name for name in request if name.endswith("PolicyConfiguration")]
    wanted = {"TargetTrackingScaling": tracking, "StepScaling": stepping}.get(kind)
    if wanted is None:
        raise invalid(f"PolicyType {kind} is not offered here; valid: TargetTrackingScaling, StepScaling.")
    if given != [wanted]:
        raise invalid(f"PolicyType {kind} needs {wanted}, and no other configuration.")
    config = request[wanted]
    return _tracking(config, meant) if wanted == tracking else _stepping(config)


def _tracking(config: Mapping[str, Any], meant: Resource) -> Tracking:
    if "PredefinedMetricSpecification" in config:
        raise invalid(
            "PredefinedMetricSpecification is not offered here: an asynchronous endpoint is scaled by its backlog. "
            f"Use CustomizedMetricSpecification with {METRICS} {BACKLOG_PER_INSTANCE}."
        )
    metric = config.get("CustomizedMetricSpecification")
    if metric is None:
        raise invalid("TargetTrackingScalingPolicyConfiguration needs a CustomizedMetricSpecification.")
    if metric.get("Metrics"):
        raise invalid("CustomizedMetricSpecification.Metrics (metric math) is not offered here: name one metric.")
    if (metric.get("Namespace"), metric.get("MetricName")) != (METRICS, BACKLOG_PER_INSTANCE):
        named = f"{metric.get('Namespace')} {metric.get('MetricName')}"
        raise invalid(f"The metric {named} cannot be tracked here; valid: {METRICS} {BACKLOG_PER_INSTANCE}.")
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", ())}
    own = {"EndpointName": meant.endpoint, "VariantName": meant.variant}
    if "EndpointName" not in dimensions or any(own.get(name) != value for name, value in dimensions.items()):
        raise invalid(f"The metric's dimension EndpointName must be the endpoint's own: {meant.endpoint!r}.")
    if metric.get("Statistic", "Average") == "SampleCount":
        raise invalid("CustomizedMetricSpecification.Statistic SampleCount says nothing about a backlog; use Average.")
    if not 0 < config["TargetValue"] < float("inf"):
        raise invalid("TargetValue must be a number above 0.")
    return Tracking(
        metric=metric["MetricName"],
        target=float(config["TargetValue"]),
        scale_in_seconds=_cooldown(config, "ScaleInCooldown"),
        scale_out_seconds=_cooldown(config, "ScaleOutCooldown"),
        scale_in=not config.get("DisableScaleIn", False),
    )


def _stepping(config: Mapping[str, Any]) -> Stepping:
    if "AdjustmentType" not in config:
        raise invalid("StepScalingPolicyConfiguration needs an AdjustmentType.")
    given: Sequence[Mapping[str, Any]] = config.get("StepAdjustments", ())
    steps = tuple(
        Step(one.get("MetricIntervalLowerBound"), one.get("MetricIntervalUpperBound"), one["ScalingAdjustment"])
        for one in given
    )
    problem = problem_of_steps(steps)
    if problem is not None:
        raise invalid(f"StepAdjustments: {problem}")
    if len(steps) > SCALING_STEPS_MAX:
        raise invalid(f"StepAdjustments has {len(steps)} entries; at most {SCALING_STEPS_MAX} are possible.")
    least = config.get("MinAdjustmentMagnitude", 1)
    if least < 0:
        raise invalid("MinAdjustmentMagnitude must not be negative.")
    return Stepping(
        Adjustment(config["AdjustmentType"]),
        steps,
        _cooldown(config, "Cooldown"),
        max(least, 1),
        config.get("MetricAggregationType", "Average"),
    )


def _cooldown(config: Mapping[str, Any], name: str) -> int:
    seconds = config.get(name, SCALING_COOLDOWN_SECONDS_DEFAULT)
    if not 0 <= seconds <= SCALING_COOLDOWN_SECONDS_MAX:
        raise invalid(f"{name} must be from 0 to {SCALING_COOLDOWN_SECONDS_MAX} seconds, not {seconds}.")
    return int(seconds)


# ---------------------------------------------------------------- ARNs


def target_arn(meant: Resource, region: str, account_id: str) -> str:
    """The ARN of a scalable target: the same for the same resource."""
    word = hashlib.sha256(meant.id.encode()).hexdigest()[:40]
    return f"arn:aws:application-autoscaling:{region}:{account_id}:scalable-target/{word}"


def policy_arn(policy: Policy, meant: Resource, region: str, account_id: str) -> str:
    """The ARN of a policy, which an alarm names as its action."""
    place = f"resource/{NAMESPACE}/{meant.id}:policyName/{policy.name}"
    return f"arn:aws:autoscaling:{region}:{account_id}:scalingPolicy:{policy.id}:{place}"


def is_policy_arn(arn: str) -> bool:
    """Whether an action is a scaling policy."""
    return arn.startswith("arn:aws:autoscaling:") and POLICY_MARK in arn


def policy_id(arn: str) -> str:
    """The id of the policy that an ARN names."""
    return arn.partition(POLICY_MARK)[2].partition(":")[0]


# ---------------------------------------------------------------- answers


def target(plan: Plan, meant: Resource, region: str, account_id: str) -> dict[str, Any]:
    """An entry of DescribeScalableTargets."""
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": meant.id,
        "ScalableDimension": DIMENSION,
        "MinCapacity": plan.minimum,
        "MaxCapacity": plan.maximum,
        "RoleARN": f"arn:aws:iam::{account_id}:{ROLE}/{ROLE_NAME}",
        "CreationTime": plan.created_at_ms / 1000,
        "SuspendedState": {
            "DynamicScalingInSuspended": plan.paused_in,
            "DynamicScalingOutSuspended": plan.paused_out,
            "ScheduledScalingSuspended": plan.paused_schedules,
        },
        "ScalableTargetARN": target_arn(meant, region, account_id),
    }


def policy(
    one: Policy, meant: Resource, region: str, account_id: str, alarms: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """An entry of DescribeScalingPolicies."""
    told: dict[str, Any] = {
        "PolicyARN": policy_arn(one, meant, region, account_id),
        "PolicyName": one.name,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": meant.id,
        "ScalableDimension": DIMENSION,
        "Alarms": list(alarms),
        "CreationTime": one.created_at_ms / 1000,
    }
    if isinstance(one.rule, Tracking):
        told["PolicyType"] = "TargetTrackingScaling"
        told["TargetTrackingScalingPolicyConfiguration"] = {
            "TargetValue": one.rule.target,
            "CustomizedMetricSpecification": {
                "MetricName": one.rule.metric,
                "Namespace": METRICS,
                "Dimensions": [{"Name": "EndpointName", "Value": meant.endpoint}],
                "Statistic": "Average",
            },
            "ScaleOutCooldown": one.rule.scale_out_seconds,
            "ScaleInCooldown": one.rule.scale_in_seconds,
            "DisableScaleIn": not one.rule.scale_in,
        }
    else:
        told["PolicyType"] = "StepScaling"
        told["StepScalingPolicyConfiguration"] = _told_steps(one.rule)
    return told


def _told_steps(given: Stepping) -> dict[str, Any]:
    steps = []
    for one in given.steps:
        bounds = {"MetricIntervalLowerBound": one.lower, "MetricIntervalUpperBound": one.upper}
        told = {name: bound for name, bound in bounds.items() if bound is not None}
        steps.append({**told, "ScalingAdjustment": one.by})
    return {
        "AdjustmentType": given.adjustment.value,
        "StepAdjustments": steps,
        **({"MinAdjustmentMagnitude": given.least} if given.least > 1 else {}),
        "Cooldown": given.cooldown_seconds,
        "MetricAggregationType": given.aggregation,
    }


def activity(event: EndpointEvent, meant: Resource) -> dict[str, Any]:
    """An entry of DescribeScalingActivities."""
    to = event.details.get("to")
    return {
        "ActivityId": event.id,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": meant.id,
        "ScalableDimension": DIMENSION,
        "Description": f"Setting desired instance count to {to}.",
        "Cause": str(event.details.get("cause", event.message)),
        "StartTime": event.at_ms / 1000,
        "EndTime": event.at_ms / 1000,
        "StatusCode": "Successful",
        "StatusMessage": f"Successfully set desired instance count to {to}.",
    }
