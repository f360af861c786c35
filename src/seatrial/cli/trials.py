"""`seatrial trial`: what the trial of an endpoint found. Without a subcommand it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from seatrial.cli.endpoints import stage_row
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.genuine import Checked, checked
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import note, one_line, print_facts, print_json, print_table
from seatrial.cli.server import connect
from seatrial.cli.trial import notes_of

NameArgument = Annotated[str, typer.Argument(help="The endpoint.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", help="The number of a version; otherwise the newest.", show_default=False)
]


class ShowsByDefault(TyperGroup):
    """`seatrial trial NAME` is `seatrial trial show NAME`; an endpoint named like a subcommand needs the long form."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `show` before what is no subcommand."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ShowsByDefault,
    add_completion=False,
    no_args_is_help=True,
    help="Look at the trial of an endpoint: `seatrial trial NAME` shows it.",
    epilog=example("seatrial trial floorplan"),
)


@app.command(
    "show",
    epilog=example(
        "seatrial trial show floorplan --version 2", "seatrial trial show --verify report.json --key key.pem"
    ),
)
def show(
    name: Annotated[str | None, typer.Argument(help="The endpoint.", show_default=False)] = None,
    number: VersionOption = None,
    verify: Annotated[
        Path | None,
        typer.Option(
            help="Look at a report in a file instead, JSON or page, and verify its signature; asks no "
            "server. Exit code 1: it is not genuine; 3: genuine, but there is no key to tell whose it is.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="The server's public key for --verify (`seatrial trial key`); otherwise that of the data folder.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show the report of a version's trial: its stages, what it is bound to, whether it still holds."""
    if verify is not None:
        _show_checked(checked(verify, key, data), json)
        return
    if name is None:
        fail("name an endpoint, or a file with --verify", ExitCode.USAGE)
    trial = connect(data).get(f"/v1/endpoints/{name}/trial", version=number)
    if json:
        print_json(trial)
        return
    _print_head(trial, trial["report"])
    print_table(["stage", "state", "seconds", "what"], [stage_row(one) for one in trial["stages"]], "no trial yet")
    _print_notes(trial["stages"])
    _print_remains(trial["stages"])


@app.command("report", epilog=example("seatrial trial report floorplan --output floorplan.html"))
def report(
    name: NameArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file; otherwise NAME-trial-VERSION.html.", show_default=False),
    ] = None,
    number: VersionOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Write the report as one HTML page, with the pictures and meshes that were made; it needs no other file."""
    server = connect(data)
    if output is None or number is None:
        number = server.get(f"/v1/endpoints/{name}/trial", version=number)["version"]
    file = output or Path(f"{name}-trial-{number}.html")
    text = server.call("GET", f"/v1/endpoints/{name}/trial.html", params={"version": number}).text
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}", ExitCode.USAGE)
    if json:
        print_json({"file": str(file), "version": number, "bytes": file.stat().st_size})
    else:
        note(f"{file}: open it in a browser")


@app.command("key", epilog=example("seatrial trial key > key.pem"))
def print_key(data: DataOption = None, json: JsonOption = False) -> None:
    """Print the public key that this server's reports are verified with."""
    said = connect(data).get("/v1/trial-key")
    if json:
        print_json(said)
    else:
        print(said["public_key"], end="")


def _show_checked(found: Checked, json: bool) -> None:
    document = found.document
    if json:
        print_json({"genuine": True, "key_id": found.key_id, "trusted": found.trusted, "report": document})
    else:
        note(f"genuine: signed by {found.key_id}")
        _print_head({"endpoint": document["endpoint"], "version": document["version"], **_state_of(document)}, document)
        rows = [(one["stage"], one["state"], _seconds(one), one["message"]) for one in document["stages"]]
        print_table(["stage", "state", "seconds", "what"], rows, "it failed before its first stage")
    if not found.trusted:
        remedy = "give the server's public key with --key; `seatrial trial key` prints it"
        fail("the key came with the report: nothing here says whose it is", ExitCode.NOT_PROVABLE, remedy)


def _state_of(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("state", "unproven", "failure_reason")} | {"active": False}


def _print_head(trial: dict[str, Any], report: dict[str, Any] | None) -> None:
    marks = [mark for mark in ("unproven", "stale") if trial.get(mark)]
    state = f"{trial['state']} ({', '.join(marks)})" if marks else trial["state"]
    version = f"{trial['version']} (active)" if trial["active"] else trial["version"]
    facts = [("endpoint", trial["endpoint"]), ("version", version), ("trial", state)]
    facts += [("reason", one_line(trial["failure_reason"] or ""))]
    facts += [("stale", change) for change in trial.get("stale_because", [])]
    if report is not None:
        facts += [(f"bound to {name}", one["sha256"][:16]) for name, one in report["bound_to"].items()]
    print_facts(facts)
    print()


def _print_remains(stages: list[dict[str, Any]]) -> None:
    """Of a trial that failed: what is kept of it, and the lines that run it again."""
    for details in (stage["details"] for stage in stages if stage["state"] == "failed"):
        lines = dict.fromkeys(filter(None, (details.get(key) for key in ("reproduce", "by_hand", "again"))))
        print_facts([("kept in", details.get("remains", {}).get("folder")), *(("run", line) for line in lines)])


def _print_notes(stages: list[dict[str, Any]]) -> None:
    """What did not fail the trial, and is to be known."""
    for stage in stages:
        for text in notes_of(stage):
            print(f"{stage['stage']}: {text}")


def _seconds(stage: dict[str, Any]) -> str:
    return f"{(stage['ended_at_ms'] - stage['started_at_ms']) / 1000:.1f}"
