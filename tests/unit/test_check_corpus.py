"""Every fault of the corpus that files can show is told by the check for it; healthy packages are left alone."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from seatrial.cli.survey import Surveyor
from seatrial.package.examine import Survey
from seatrial.package.manifest import Manifest
from seatrial.package.target import Target
from seatrial.testing.corpus.broken import BROKEN
from seatrial.testing.corpus.case import Case
from seatrial.testing.corpus.healthy import HEALTHY
from seatrial.testing.corpus.run import outcome, table

CASES = (*BROKEN, *HEALTHY)


@pytest.fixture(scope="module")
def survey_for() -> Callable[[Case], Survey]:
    """One survey of each interpreter, with and without requirements, serves all packages."""
    some_file = Path(__file__).parents[2] / "apps" / "floorplan" / "requirements.txt"

    @cache
    def target(python: str | None, has_requirements: bool) -> Target:
        manifest = Manifest("python", None, requirements=some_file if has_requirements else None)  # type: ignore[arg-type]
        return Surveyor(python, resolves=False)(manifest)

    return lambda case: lambda manifest: target(case.python or manifest.python, manifest.requirements is not None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.layout}-{case.name}")
def test_a_package_of_the_corpus(case: Case, survey_for: Callable[[Case], Survey]) -> None:
    found = outcome(case, survey_for)
    assert found.as_it_should_be, table([found])
    assert all(one.remedy and one.message for one in found.report.findings)


def test_the_corpus_is_as_large_as_it_claims_to_be() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len(BROKEN) >= 60
    assert len(HEALTHY) >= 30
    assert {case.layout for case in BROKEN} == {"sagemaker", "python", "aws_lambda", "runpod", "cog", "http"}
    assert {case.stage for case in BROKEN} == {"check", "environment", "load", "prove", "refuse", "drill"}
