"""Scaling put together: figures over time, the scaler that looks at backlogs, and the alarms that run its steps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

from seatrial.adapters.system.memory import free_memory_bytes
from seatrial.domain.credentials import Credentials
from seatrial.engine.alarms import Alarms, Change
from seatrial.engine.deploy import Deployer
from seatrial.engine.directory import Directory
from seatrial.engine.figures import Figures
from seatrial.engine.outside import Outside
from seatrial.engine.scale import Machine, Scaler
from seatrial.engine.topics import Topics
from seatrial.http.dialects import autoscaling, cloudwatch, sagemaker
from seatrial.ports.clock import Clock
from seatrial.ports.job_store import JobStore
from seatrial.ports.registry import Registry


@dataclass(frozen=True, slots=True)
class Scaling:
    """The parts, which have read what is kept of them."""

    figures: Figures
    scaler: Scaler
    alarms: Alarms


async def open_scaling(
    deployer: Deployer,
    directory: Directory,
    outside: Outside,
    registry: Registry,
    store: JobStore,
    topics: Topics,
    credentials: Credentials,
    clock: Clock,
) -> Scaling:
    """Each part of those before it."""
    figures = Figures(partial(_variant_of, directory), clock)
    machine = Machine(len(os.sched_getaffinity(0)), free_memory_bytes)
    scaler = Scaler(deployer, partial(_outside_workers, outside), registry, store, figures, machine, clock)
    await scaler.load()
    alarms = Alarms(registry, figures, clock)
    await alarms.load()
    alarms.on_action(autoscaling.is_policy_arn, partial(_step, scaler), again=True)
    alarms.on_action(cloudwatch.is_topic_arn, partial(_tell, topics, credentials))
    scaler.on_wake(partial(_patience_seconds, alarms))
    return Scaling(figures, scaler, alarms)


async def _step(scaler: Scaler, arn: str, change: Change) -> str:
    rule, value = change.alarm.rule, change.value
    # set by hand while its metric is well: as if that were just at the threshold
    beyond = value - rule.threshold if value is not None and rule.breaches(value) else 0.0
    return await scaler.step(autoscaling.policy_id(arn), beyond, f"alarm {change.alarm.name}")


async def _tell(topics: Topics, credentials: Credentials, arn: str, change: Change) -> str:
    region = credentials.region
    message = cloudwatch.message(change.alarm, change.before, region, credentials.account_id)
    subject = cloudwatch.subject(change.alarm, region)
    return f"message {await topics.publish(change.alarm.owner, arn, message, subject)}"


def _patience_seconds(alarms: Alarms, endpoint_name: str, policy_id: str) -> int | None:
    return alarms.patience_seconds(
        endpoint_name, lambda arn: autoscaling.is_policy_arn(arn) and autoscaling.policy_id(arn) == policy_id
    )


def _variant_of(directory: Directory, endpoint_name: str) -> str | None:
    if not directory.has(endpoint_name):
        return None
    endpoint = directory.endpoint(endpoint_name)
    active = endpoint.active_version
    return sagemaker.variant(endpoint, None if active is None else directory.version(active).version)


def _outside_workers(outside: Outside, endpoint_name: str) -> int:
    counts = outside.workers(endpoint_name)
    return counts["idle"] + counts["running"]
