"""ports.meters.Meters with the Prometheus client: counters here, gauges from what is there when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from seatrial.domain.canary import Canary, CanaryState
from seatrial.domain.jobs import Job
from seatrial.domain.limits import METRIC_ERROR_TYPES_MAX, METRIC_SERIES_MAX
from seatrial.domain.meanings import MEANINGS
from seatrial.ports.meters import EndpointFigures

OTHER = "other"


class PrometheusMeters:
    """The meters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._jobs = Counter(
            "seatrial_jobs_ended_total",
            "Jobs of clients that have ended, by endpoint, task, status and error_type (empty: none).",
            ["endpoint", "task", "status", "error_type"],
            registry=self._registry,
        )
        self._canaries = Counter(
            "seatrial_canaries_total",
            "Canaries that have ended, by endpoint and status: passed, failed or skipped.",
            ["endpoint", "status"],
            registry=self._registry,
        )
        self._failing = Gauge(
            "seatrial_canary_failing",
            "1 while the last canary of an endpoint that was run has failed.",
            ["endpoint"],
            registry=self._registry,
        )
        self._last_canary = Gauge(
            "seatrial_canary_last_timestamp_seconds",
            "When the last canary of an endpoint that was run ended, in seconds since the epoch.",
            ["endpoint"],
            registry=self._registry,
        )
        self._own_words: set[str] = set()  # of handlers, told apart from each other up to a limit
        self._series: set[tuple[str, ...]] = set()

    def job_ended(self, job: Job) -> None:
        """See the port."""
        word = self._word(str((job.failure or {}).get("error_type", "")))
        labels = (job.endpoint_name, job.task or "", job.state.value, word)
        if labels not in self._series:
            if len(self._series) >= METRIC_SERIES_MAX:
                labels = (OTHER, OTHER, job.state.value, OTHER)
            self._series.add(labels)
        self._jobs.labels(*labels).inc()

    def canary_ended(self, endpoint_name: str, canary: Canary) -> None:
        """See the port."""
        self._canaries.labels(endpoint_name, canary.state.value).inc()
        if canary.state is not CanaryState.SKIPPED:
            self._failing.labels(endpoint_name).set(canary.state is CanaryState.FAILED)
            self._last_canary.labels(endpoint_name).set((canary.ended_at_ms or 0) / 1000)

    def exposition(
        self, endpoints: Sequence[EndpointFigures], within: frozenset[str] | None = None
    ) -> tuple[bytes, str]:
        """See the port."""
        now = CollectorRegistry()

        def gauge(name: str, what: str, label: str) -> Gauge:
            return Gauge(name, what, ["endpoint", label], registry=now)

        status = gauge("seatrial_endpoint_status", "1 for the status that it has.", "status")
        workers = gauge("seatrial_workers", "Workers of the version in service.", "state")
        jobs = gauge("seatrial_jobs", "Jobs of clients that are kept.", "status")
        for one in endpoints:
            status.labels(one.name, one.status).set(1)
            workers.labels(one.name, "ready").set(one.workers_ready)
            workers.labels(one.name, "desired").set(one.workers_desired)
            for state, count in one.jobs.items():
                jobs.labels(one.name, state).set(count)
        counted = self._registry if within is None else _only(self._registry, within)
        return generate_latest(counted) + generate_latest(now), CONTENT_TYPE_LATEST

    def _word(self, error_type: str) -> str:
        """Handlers have words of their own: the first of them are told apart, so that the series stay few."""
        if error_type == "" or error_type in MEANINGS or error_type in self._own_words:
            return error_type
        if len(self._own_words) >= METRIC_ERROR_TYPES_MAX:
            return OTHER
        self._own_words.add(error_type)
        return error_type


def _only(registry: CollectorRegistry, within: frozenset[str]) -> CollectorRegistry:
    """A registry with what is about these endpoints."""

    class Chosen:
        def collect(self) -> Iterator[Metric]:
            for metric in registry.collect():
                metric.samples = [one for one in metric.samples if one.labels.get("endpoint") in within]
                yield metric

    chosen = CollectorRegistry()
    chosen.register(Chosen())
    return chosen
