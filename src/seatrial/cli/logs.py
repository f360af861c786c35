"""`seatrial logs`: what workers wrote."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.server import Server, connect

JOB_ID_CHARS_SHOWN = 8  # as many as tell jobs of one screen apart


app = typer.Typer(add_completion=False)


@app.command("logs", epilog=example("seatrial logs floorplan --follow --since 5m"))
def logs(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    follow: Annotated[bool, typer.Option("--follow", help="Go on as lines come.")] = False,
    since: Annotated[str, typer.Option(help="5m, 2h, 1d, or a time such as 2026-01-31T12:00:00Z.")] = "1h",
    job: Annotated[str | None, typer.Option(help="Only lines of this job.", show_default=False)] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Print an endpoint's log: its workers' lines, and the server's about its trials."""
    server = connect(data)
    path = f"/v1/endpoints/{name}/logs"
    if follow:
        for _, line in server.events(path, since=since, job=job, follow=True):
            print_line(line, json, with_job=True)
    else:
        for line in all_lines(server, path, since=since, job=job):
            print_line(line, json, with_job=True)


def all_lines(server: Server, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Every line, page by page."""
    after = None
    while True:
        page = server.get(path, after=after, **params)
        yield from page["lines"]
        after = page["next"]
        if after is None:
            return


def print_line(line: dict[str, Any], as_json: bool, with_job: bool = False) -> None:
    """One line, with the beginning of its job's id where it has one; as JSON it is one document a line."""
    if as_json:
        print(json_text.dumps(line, ensure_ascii=False), flush=True)
    else:
        job = f"{line['job_id'][:JOB_ID_CHARS_SHOWN]} " if with_job and line["job_id"] else ""
        print(f"{line['at']} {line['stream']} {job}{line['text']}", flush=True)
