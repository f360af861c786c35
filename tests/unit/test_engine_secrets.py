"""What the server writes about its own faults holds no value of a variable."""

from __future__ import annotations

import re

import pytest
import structlog

from seatrial.cli.serve import set_up_logs
from seatrial.config import Settings
from seatrial.domain.work import WorkerSpec

SECRET = "correct-horse-battery-staple"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_logged_exception_shows_no_local_variables(log_format, tmp_path, capsys):
    before = structlog.get_config()
    try:
        set_up_logs(Settings(data=tmp_path, log_format=log_format))
        _fail(token=SECRET)
    finally:
        structlog.configure(**before)
    said = capsys.readouterr().err
    assert "a defect" in said
    assert re.search(r"_fail", said), "where it happened"
    assert SECRET not in said


def _fail(token: str) -> None:
    try:
        raise RuntimeError("a defect")
    except RuntimeError:
        structlog.get_logger().exception("job.defect", length=len(token))


def test_a_worker_spec_does_not_print_its_secrets(tmp_path):
    spec = WorkerSpec("e", "v", "python", tmp_path, tmp_path, tmp_path, {"PLAIN": "plainly"}, secrets={"T": SECRET})
    assert "plainly" in repr(spec)
    assert SECRET not in repr(spec)
