"""Figures over time by SageMaker's names, from the very events and counts that `/metrics` tells.

They begin with the server, as its counters do. Names, units and dimensions are those of AWS's page "Amazon SageMaker AI
metrics in Amazon CloudWatch", its spelling included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from seatrial.domain.delivery import Attempt, Delivery, TargetKind
from seatrial.domain.errors import INPUT_CHANGED, INPUT_NOT_FOUND, INPUT_UNREACHABLE, PUBLISH_FAILED, QUEUE_TTL_EXPIRED
from seatrial.domain.jobs import Backlog, Job, JobState
from seatrial.domain.limits import METRIC_MINUTES_KEPT, METRIC_POINTS_SERIES_MAX
from seatrial.domain.scaling import BACKLOG, BACKLOG_PER_INSTANCE, NO_CAPACITY
from seatrial.domain.series import NAMESPACE, Metric, Point, Series, metric
from seatrial.engine.transfers import Transfer
from seatrial.ports.clock import Clock

ENDPOINT, VARIANT = "EndpointName", "VariantName"
OLDEST = "ApproximateAgeOfOldestRequest"
PROCESSED = "InvocationsProcesssed"  # as AWS spells it
FAILED = "InvocationFailures"
EXPIRED = "ExpiredRequests"
IN_BACKLOG = "TimeInBacklog"
PROCESSING = "TotalProcessingTime"
LATENCY = "ModelLatency"
CLIENT_ERRORS = "Invocation4XXErrors"
SERVER_ERRORS = "Invocation5XXErrors"
INVOCATIONS = "Invocations"
OVERHEAD = "OverheadLatency"
NOT_DOWNLOADED = "RequestDownloadFailures"
DOWNLOADING = "RequestDownloadLatency"
NOT_UPLOADED = "ResponseUploadFailures"
UPLOADING = "ResponseUploadLatency"
NOT_NOTIFIED = "NotificationFailures"

_OF_JOBS = (PROCESSED, FAILED, EXPIRED, NOT_DOWNLOADED, NOT_UPLOADED, PROCESSING)
_OF_RUNS = (IN_BACKLOG, LATENCY)
_MOVED = {Transfer.INPUT: DOWNLOADING, Transfer.OUTPUT: UPLOADING}
_UNREAD = frozenset({INPUT_NOT_FOUND, INPUT_CHANGED, INPUT_UNREACHABLE})
_OF_REQUESTS = (INVOCATIONS, CLIENT_ERRORS, SERVER_ERRORS)
LEVELS = frozenset({BACKLOG, BACKLOG_PER_INSTANCE, OLDEST, NO_CAPACITY})
UNITS: Mapping[str, str] = {
    **dict.fromkeys((BACKLOG, BACKLOG_PER_INSTANCE, NO_CAPACITY), "Count"),
    **dict.fromkeys((NOT_DOWNLOADED, NOT_UPLOADED, NOT_NOTIFIED), "Count"),
    **dict.fromkeys((PROCESSED, FAILED, EXPIRED, CLIENT_ERRORS, SERVER_ERRORS, INVOCATIONS), "Count"),
    OLDEST: "Seconds",
    IN_BACKLOG: "Milliseconds",
    PROCESSING: "Milliseconds",
    **dict.fromkeys((LATENCY, OVERHEAD, DOWNLOADING, UPLOADING), "Microseconds"),
}
_NO_TRANSFERS: Mapping[Transfer, int] = MappingProxyType({})
_NOTHING: Mapping[int, Point] = MappingProxyType({})


class Figures:
    """Series in memory, one point a minute, of the last METRIC_MINUTES_KEPT minutes.

    `variant_of` gives the name by which an endpoint's variant is known; None: there is no such endpoint.
    """

    def __init__(self, variant_of: Callable[[str], str | None], clock: Clock) -> None:
        self._variant_of = variant_of
        self._clock = clock
        self._series: dict[Metric, Series] = {}
        self._found: dict[tuple[str, str, tuple[str, ...]], list[Series]] = {}  # by endpoint, variant and names

    # ------------------------------------------------------------------ what is recorded

    def backlog(self, endpoint_name: str, backlog: Backlog, capacity: int) -> None:
        """What an endpoint has to do now, and how many workers could do it."""
        now_ms = self._clock.now_ms()
        age_ms = 0 if backlog.oldest_ms is None else max(0, now_ms - backlog.oldest_ms)
        for name, value in (
            (BACKLOG, backlog.size),
            (BACKLOG_PER_INSTANCE, backlog.size / max(capacity, 1)),
            (OLDEST, age_ms / 1000),
            (NO_CAPACITY, int(backlog.size > 0 and capacity == 0)),
        ):
            series = self._of(metric(NAMESPACE, name, {ENDPOINT: endpoint_name}))
            if series is not None:
                series.set(value, now_ms)

    def job_ended(self, job: Job, moved_us: Mapping[Transfer, int] = _NO_TRANSFERS) -> None:
        """A client's job has ended here; its transfers took that many microseconds."""
        now_ms = self._clock.now_ms()
        ended_ms = now_ms if job.ended_at_ms is None else job.ended_at_ms
        error_type = (job.failure or {}).get("error_type")
        processed, failed, expired, not_downloaded, not_uploaded, processing = self._own(job.endpoint_name, _OF_JOBS)
        processed.happened(job.state is JobState.SUCCEEDED, now_ms)
        failed.happened(job.state is JobState.FAILED, now_ms)
        expired.happened(error_type == QUEUE_TTL_EXPIRED, now_ms)
        not_downloaded.happened(error_type in _UNREAD, now_ms)
        not_uploaded.happened(error_type == PUBLISH_FAILED, now_ms)
        processing.happened(max(0, ended_ms - job.submitted_at_ms), now_ms)
        for what, took_us in moved_us.items():
            self._own(job.endpoint_name, (_MOVED[what],))[0].happened(took_us, now_ms)
        if job.started_at_ms is not None:
            in_backlog, latency = self._own(job.endpoint_name, _OF_RUNS)
            in_backlog.happened(max(0, job.started_at_ms - job.submitted_at_ms), now_ms)
            latency.happened(max(0, ended_ms - job.started_at_ms) * 1000, now_ms)

    def notified(self, delivery: Delivery, attempt: Attempt) -> None:
        """There was a try to tell of one of the endpoint's jobs, or of itself."""
        if delivery.target.kind is not TargetKind.TRIAL:
            (failures,) = self._own(delivery.endpoint_name, (NOT_NOTIFIED,))
            failures.happened(not attempt.succeeded, self._clock.now_ms())

    def waited_for(self, job: Job, request_ms: int) -> None:
        """A synchronous request was answered with the job's result, in so many milliseconds from when it came."""
        if job.started_at_ms is not None and job.ended_at_ms is not None:
            (overhead,) = self._own(job.endpoint_name, (OVERHEAD,))
            own_ms = request_ms - (job.ended_at_ms - job.started_at_ms)
            overhead.happened(max(0, own_ms) * 1000, self._clock.now_ms())

    def invoked(self, endpoint_name: str, status: int) -> None:
        """A request for the endpoint was answered with that HTTP status."""
        now_ms = self._clock.now_ms()
        invocations, client_errors, server_errors = self._own(endpoint_name, _OF_REQUESTS)
        invocations.happened(1, now_ms)
        client_errors.happened(400 <= status < 500, now_ms)
        server_errors.happened(status >= 500, now_ms)

    def put(self, which: Metric, point: Point, at_ms: int) -> bool:
        """Samples of a client's own metric. False: there are too many series already."""
        series = self._of(which)
        if series is not None:
            series.add(point, at_ms)
        return series is not None

    def forget(self, endpoint_name: str) -> None:
        """The endpoint is gone, and its series with it."""
        own = [one for one in self._series if one.namespace == NAMESPACE and one.dimension(ENDPOINT) == endpoint_name]
        for one in own:
            del self._series[one]
        self._found = {key: found for key, found in self._found.items() if key[0] != endpoint_name}

    # ------------------------------------------------------------------ what is asked

    def points(self, which: Metric) -> Mapping[int, Point]:
        """By minute since the epoch; empty for a series that there is not."""
        return self._series.get(which, _NOTHING)

    def metrics(self) -> Sequence[Metric]:
        """Every series that has points."""
        return sorted(self._series, key=lambda one: (one.namespace, one.name, one.dimensions))

    def is_own(self, which: Metric) -> bool:
        """Whether it is the server's, not a client's."""
        return which.namespace == NAMESPACE

    def is_level(self, which: Metric) -> bool:
        """Whether the minute that runs tells all about itself already."""
        return self.is_own(which) and which.name in LEVELS

    # ------------------------------------------------------------------ inside

    def _own(self, endpoint_name: str, names: tuple[str, ...]) -> list[Series]:
        """Series of an endpoint's variant by these names; what has no endpoint, or is too many, is not kept."""
        variant = self._variant_of(endpoint_name)
        if variant is None:
            return [Series(1) for _ in names]
        key = (endpoint_name, variant, names)
        found = self._found.get(key)
        if found is None:
            dimensions = {ENDPOINT: endpoint_name, VARIANT: variant}
            made = [self._of(metric(NAMESPACE, name, dimensions)) for name in names]
            found = self._found[key] = [Series(1) if one is None else one for one in made]
        return found

    def _of(self, which: Metric) -> Series | None:
        series = self._series.get(which)
        if series is None and len(self._series) < METRIC_POINTS_SERIES_MAX:
            series = self._series[which] = Series(METRIC_MINUTES_KEPT)
        return series
