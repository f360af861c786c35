"""`seatrial scale`: let the workers of an endpoint follow its backlog, and see what that does."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import note, print_facts, print_json, print_table
from seatrial.cli.server import connect
from seatrial.domain.limits import SCALING_COOLDOWN_SECONDS_MAX, WORKERS_PER_ENDPOINT_MAX

app = typer.Typer(add_completion=False)


@app.command(
    "scale",
    epilog=example(
        "seatrial scale floorplan --min 0 --max 3",
        "seatrial scale floorplan --min 0 --max 3 --backlog 1 --idle 60",
        "seatrial scale floorplan",
    ),
)
def scale(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    least: Annotated[
        int | None,
        typer.Option("--min", min=0, max=WORKERS_PER_ENDPOINT_MAX, help="Workers always.", show_default=False),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("--max", min=0, max=WORKERS_PER_ENDPOINT_MAX, help="Workers at the most.", show_default=False),
    ] = None,
    backlog: Annotated[
        float | None,
        typer.Option(help="Jobs, queued and running, for each worker; 2 unless said.", show_default=False),
    ] = None,
    idle: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=SCALING_COOLDOWN_SECONDS_MAX,
            help="Seconds that fewer must be wanted before workers leave; 300 unless said.",
            show_default=False,
        ),
    ] = None,
    cooldown: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=SCALING_COOLDOWN_SECONDS_MAX,
            help="Seconds before the same growth is repeated; 0 unless said.",
            show_default=False,
        ),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Scale no more: the number stays as it is.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Scale an endpoint's workers with its backlog, between --min (0 is possible) and --max.

    Without options: how it is scaled now, and what that did. From zero a job wakes a worker within a second.
    """
    given = {
        "min": least,
        "max": most,
        "backlog_per_worker": backlog,
        "scale_in_seconds": idle,
        "scale_out_seconds": cooldown,
    }
    said = {key: value for key, value in given.items() if value is not None}
    if said and (off or least is None or most is None):
        fail("--min and --max go together, and without --off", ExitCode.USAGE)
    server = connect(data)
    path = f"/v1/endpoints/{name}/scaling"
    if off:
        scaled = server.call("DELETE", path).json()
    elif said:
        scaled = server.call("PUT", path, json=said).json()
    else:
        scaled = server.get(path)
    if json:
        print_json(scaled)
    else:
        _print(name, scaled)


def _print(name: str, scaled: dict[str, Any]) -> None:
    limits = None if scaled["min"] is None else f"{scaled['min']} to {scaled['max']}"
    facts = [
        ("endpoint", name),
        ("scaled", limits),
        *(("policy", _policy(one)) for one in scaled["policies"]),
        ("suspended", ", ".join(scaled["suspended"])),
        ("workers", f"{scaled['ready']}/{scaled['desired']}"),
        ("backlog", f"{scaled['queued']} queued, {scaled['running']} running"),
        ("held back", scaled["held_back"]),
    ]
    print_facts(facts)
    if limits is None:
        note(f"{name} is not scaled: its number of workers is fixed")
    rows = [(one["at"], one["before"], one["after"], one["cause"]) for one in scaled["changes"]]
    if rows:
        print()
        print_table(["at", "from", "to", "why"], rows, "")


def _policy(policy: dict[str, Any]) -> str:
    if policy["kind"] == "step":
        return f"{policy['name']}: steps, run by an alarm"
    jobs, seconds = policy["backlog_per_worker"], policy["scale_in_seconds"]
    return f"{policy['name']}: {jobs:g} jobs for each worker, fewer after {seconds} s"
