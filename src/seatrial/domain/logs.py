"""Lines of log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a worker (or the server about an endpoint) wrote. `at_ms` is since the epoch.

    `group` is the endpoint's log group, `/aws/sagemaker/Endpoints/NAME`; `stream` names the worker.
    """

    group: str
    stream: str
    at_ms: int
    text: str
    job_id: str | None = None
    id: int | None = None  # set by the store, increasing within it


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines to read, oldest first. `after_id` continues a page; times are inclusive, since the epoch."""

    group: str
    streams: frozenset[str] = frozenset()
    stream_prefix: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    job_id: str | None = None
    contains: str | None = None
    after_id: int | None = None
    limit: int = 1_000


@dataclass(frozen=True, slots=True)
class LogStream:
    """A stream of a group, and when it began and last wrote (milliseconds since the epoch)."""

    group: str
    name: str
    first_at_ms: int
    last_at_ms: int
