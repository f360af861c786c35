"""`seatrial trial logs`: what a trial and its workers wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.logs import all_lines, print_line
from seatrial.cli.options import DataOption, JsonOption
from seatrial.cli.server import Server, connect
from seatrial.cli.trial import STAGES
from seatrial.cli.trials import VersionOption


def trial_logs(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    number: VersionOption = None,
    stage: Annotated[
        str | None, typer.Option(help=f"Only while it ran: {', '.join(STAGES)}.", show_default=False)
    ] = None,
    job: Annotated[str | None, typer.Option(help="Only lines of this job.", show_default=False)] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Print what the trial of a version said, and what its workers wrote meanwhile."""
    server = connect(data)
    trial = server.get(f"/v1/endpoints/{name}/trial", version=number)
    for line in _lines(server, name, trial, stage, job):
        print_line(line, json, with_job=True)


def _lines(
    server: Server, name: str, trial: dict[str, Any], stage: str | None, job: str | None
) -> Iterator[dict[str, Any]]:
    stages = [one for one in trial["stages"] if stage in (None, one["stage"])]
    if not stages:
        there = ", ".join(one["stage"] for one in trial["stages"]) or "none"
        fail(f"the trial has no stage {stage!r}" if stage else "no trial yet", ExitCode.NOT_FOUND, f"it has: {there}")
    streams = {f"trial/{trial['version']}"}
    streams |= {stream for one in trial["stages"] for stream in one["details"].get("log_streams", [])}
    later = trial["stages"][trial["stages"].index(stages[-1]) + 1 :]
    until = later[0]["started_at"] if later else None
    for line in all_lines(server, f"/v1/endpoints/{name}/logs", since=stages[0]["started_at"], job=job):
        if until is not None and line["at"] >= until:
            return
        if line["stream"] in streams:
            yield line
