"""Endpoints and their versions. Status words are SageMaker's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from seatrial.domain.limits import (
    CANCEL_GRACE_SECONDS_DEFAULT,
    INVOCATION_TIMEOUT_SECONDS_DEFAULT,
    LOAD_TIMEOUT_SECONDS_DEFAULT,
    QUEUE_DEPTH_MAX,
    QUEUE_TTL_SECONDS_DEFAULT,
)
from seatrial.domain.objects import ObjectName
from seatrial.domain.scaling import ScalingSettings
from seatrial.domain.triggers import TriggerWish


class EndpointStatus(StrEnum):
    """What an endpoint is."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    FAILED = "Failed"
    DELETING = "Deleting"


class UpdateWay(StrEnum):
    """How a new version comes into the place of the one in service."""

    BLUE_GREEN = "blue_green"  # proved beside it, which serves on until then
    REPLACE = "replace"  # the old one leaves first, and is restored when the new one fails: a device for one only


class CanaryPolicy(StrEnum):
    """What a canary that fails does to its endpoint."""

    REPORT = "report"  # it is told of, and the endpoint serves on
    TAKE_OUT = "take_out"  # the endpoint leaves service


class TrialStage(StrEnum):
    """The stages of a trial, in order."""

    INSPECT = "inspect"
    ENVIRONMENT = "environment"
    WEIGHTS = "weights"
    LOAD = "load"
    PROVE = "prove"
    REFUSE = "refuse"
    DRILL = "drill"
    REPORT = "report"


class StageState(StrEnum):
    """How far a stage is."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of a trial: what it did or why it failed. Times are milliseconds since the epoch."""

    stage: TrialStage
    state: StageState
    message: str
    started_at_ms: int
    ended_at_ms: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # per sample: task, sample, job_id, duration_ms


@dataclass(frozen=True, slots=True)
class PackageRef:
    """A stored package: its content hash (SHA-256 hex over names, modes and bytes), and where it came from."""

    sha256: str
    source: str  # the URI or file name that it was given as, for people


@dataclass(frozen=True, slots=True)
class VersionSettings:
    """How a version runs. Durations in seconds; `env` are plain variables, `secrets` only names and sources."""

    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)  # variable -> "env:NAME" or "file:PATH"
    python: str | None = None  # base interpreter; None: the server's own
    queue_ttl_seconds: int = QUEUE_TTL_SECONDS_DEFAULT
    invocation_timeout_seconds: int = INVOCATION_TIMEOUT_SECONDS_DEFAULT
    load_timeout_seconds: int = LOAD_TIMEOUT_SECONDS_DEFAULT
    cold_start_seconds: float | None = None  # a trial's load that takes longer fails
    load_log_patterns: tuple[str, ...] = ()  # regular expressions that the log of a trial's load must hold
    device: str | None = None  # "cuda": a model that is not on one has not loaded; None: it may be anywhere
    cancel_grace_seconds: int = CANCEL_GRACE_SECONDS_DEFAULT
    memory_bytes_max: int | None = None  # of a worker and its descendants
    memory_growth_bytes_max: int | None = None  # of a worker since it loaded
    queue_depth_max: int = QUEUE_DEPTH_MAX
    concurrency_max: int | None = None  # jobs that run at once, over all workers and servers
    device_group: str | None = None  # endpoints of one group share a device; None: this one has its own
    output_prefix: ObjectName | None = None  # results go to bucket/prefix<uuid>.out; None: the server's default
    failure_prefix: ObjectName | None = None
    unproven: bool = False  # deployed without samples, and shown as such everywhere
    samples_uri: str | None = None  # s3://… with samples named from outside
    deduplicate_inference_id: bool = False  # SageMaker's InferenceId is an idempotency key
    webhooks: tuple[str, ...] = ()  # URLs that are told of every job's end
    webhook_events: tuple[str, ...] = ()  # what these want to hear of; empty: the usual
    success_topic: str | None = None  # the ARN of a topic that is told of jobs that succeed
    error_topic: str | None = None  # the same of jobs that fail or are cancelled
    answer_to_success_topic: bool = False  # a small result is told along
    answer_to_error_topic: bool = False  # the failure document is told along
    trial_minutes_max: int | None = None  # what a trial would run beyond it is left out, and named in its report
    update: UpdateWay = UpdateWay.BLUE_GREEN  # how this version takes the place of the one before
    canary_minutes: int | None = None  # between two canaries; None: only when one is asked for, or after a change
    canary_policy: CanaryPolicy = CanaryPolicy.REPORT
    triggers: tuple[TriggerWish, ...] = ()  # objects that become jobs while this version is in service
    reach: str | None = None  # what who deployed it may touch (domain.access.reach_document); None: everything
    scaling: ScalingSettings | None = None  # None: as many workers as `workers` says, until somebody scales it


@dataclass(frozen=True, slots=True)
class EndpointVersion:
    """One deployed package of an endpoint. `contract` is the resolved contract as a plain mapping."""

    id: str
    endpoint_id: str
    endpoint_name: str
    number: int
    package: PackageRef
    settings: VersionSettings
    created_at_ms: int
    contract: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[StageReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A deployed package under a name.

    `active_version` takes ordinary jobs; `target_version` is the one on trial; `last_version` was the active one when
    the endpoint left service. `marks` are the door's own words (`endpoint_config_name`) and tags.
    """

    id: str
    name: str
    owner: str
    status: EndpointStatus
    created_at_ms: int
    modified_at_ms: int
    active_version: str | None = None
    target_version: str | None = None
    last_version: str | None = None
    failure_reason: str | None = None
    unproven: bool = False
    workers_desired: int = 1
    marks: Mapping[str, Any] = field(default_factory=dict)
