"""How long a handler may run: what the request asks for, within what the task sets for itself, else the worker's."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.domain.contract import Contract
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.jobs import Job


@dataclass(frozen=True, slots=True)
class HandlerLimit:
    """A bound of one handler call. `setting`: what sets it in the package; None: the job's own."""

    timeout_ms: int
    setting: str | None = None


def job_timeout_seconds(version: EndpointVersion, contract: Contract, task: str | None, asked: int | None) -> int:
    """The invocation timeout of a new job, which its deadline covers.

    `task` is None while the body has not been read: then it is the largest that the job may turn out to have.
    """
    named = contract.task(task) if task is not None else None
    possible = [named] if named is not None else contract.tasks
    own = [one.timeout_seconds for one in possible]
    worker_seconds = version.settings.invocation_timeout_seconds
    if asked is None:
        return max((one or worker_seconds for one in own), default=worker_seconds)
    return min(asked, max((one or asked for one in own), default=asked))


def handler_limit(job: Job, version: EndpointVersion, contract: Contract, task: str | None) -> HandlerLimit:
    """The bound of the handler, once the input has told the task."""
    named = contract.task(task) if task is not None else None
    if named is None:
        return HandlerLimit(job.invocation_timeout_ms)
    worker_seconds = version.settings.invocation_timeout_seconds
    if named.timeout_seconds is not None:
        seconds, setting = named.timeout_seconds, f"tasks.{named.name}.timeout_seconds"
    elif job.task is None and job.invocation_timeout_ms == job_timeout_seconds(version, contract, None, None) * 1000:
        seconds, setting = worker_seconds, "worker.invocation_timeout_seconds"  # nobody asked for another task's
    else:
        return HandlerLimit(job.invocation_timeout_ms)
    if seconds * 1000 > job.invocation_timeout_ms:
        return HandlerLimit(job.invocation_timeout_ms)
    return HandlerLimit(seconds * 1000, setting)
