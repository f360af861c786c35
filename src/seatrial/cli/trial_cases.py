"""The stages of a trial as cases for CI: a suite for each stage, a case for itself and for each thing it looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seatrial.cli.trial import STAGES
from seatrial.prove.finding import Finding, Outcome

_OUTCOMES = {"passed": Outcome.OK, "failed": Outcome.FAILED, "skipped": Outcome.NOT_APPLICABLE}


def cases(stages: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Finding]]]:
    """Suites for `prove.junit.junit_xml`; `stages` as the API shows them. What was not reached is said so."""
    reached = {stage["stage"]: stage for stage in stages}
    return [(name, list(_of_stage(name, reached.get(name)))) for name in STAGES]


def _of_stage(name: str, stage: Mapping[str, Any] | None) -> Iterator[Finding]:
    if stage is None:
        yield Finding(name, Outcome.NOT_APPLICABLE, "not reached: an earlier stage failed")
        return
    details = stage["details"]
    outcome = _OUTCOMES.get(stage["state"], Outcome.FAILED)  # one that still ran was interrupted
    yield Finding(name, outcome, stage["message"], str(details.get("remedy", "")) if outcome is Outcome.FAILED else "")
    for one in details.get("findings", []):
        yield Finding(f"{name}: {one['id']}", Outcome.FAILED, one["message"], one["remedy"])
    for text in details.get("warnings", []):
        yield Finding(f"{name}: {text}", Outcome.WARNING, text)
    for one in details.get("samples", []):
        what = one.get("as") or " ".join(filter(None, (one["task"], one["sample"])))
        yield Finding(f"{name}: {what}", Outcome.OK, f"{one['duration_ms'] / 1000:.3f} s, job {one['job_id']}")
    for one in details.get("refused", []):
        yield Finding(f"{name}: {one['request']}", Outcome.OK, one["message"])
    for text in details.get("left_out", []):
        yield Finding(f"{name}: {text}", Outcome.NOT_APPLICABLE, f"left out: {text}")
