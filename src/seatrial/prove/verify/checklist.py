"""The checklist in the order in which it is gone through."""

from __future__ import annotations

from seatrial.prove.verify.checks import (
    autoscaling,
    cleanup,
    cold_start,
    critical_logs,
    failure_location,
    health,
    in_service,
    inference,
    latency,
    malformed_input,
    model_loaded,
    output,
    unknown_id,
    wrong_task,
)

CHECKLIST = (
    in_service.CHECK,
    health.CHECK,
    inference.CHECK,
    cold_start.CHECK,
    *output.CHECKS,
    latency.CHECK,
    failure_location.CHECK,  # before any bad request leaves one
    model_loaded.CHECK,
    critical_logs.CHECK,
    autoscaling.CHECK,
    wrong_task.CHECK,
    malformed_input.CHECK,
    unknown_id.CHECK,
    cleanup.CHECK,
)
