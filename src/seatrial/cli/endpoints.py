"""`seatrial endpoints`: list, show, delete."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import note, print_facts, print_json, print_table, waiting
from seatrial.cli.server import Refused, connect, end
from seatrial.cli.trial import stage_seconds
from seatrial.domain.history import EventKind
from seatrial.domain.limits import LIST_PAGE_MAX

GONE_PAUSE_SECONDS = 0.2

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Look at endpoints, or delete one.",
    epilog=example("seatrial endpoints list"),
)
NameArgument = Annotated[str, typer.Argument(help="The endpoint.")]


@app.command("list", epilog=example("seatrial endpoints list --json"))
def list_endpoints(data: DataOption = None, json: JsonOption = False) -> None:
    """List endpoints."""
    endpoints = connect(data).get("/v1/endpoints")["endpoints"]
    if json:
        print_json(endpoints)
        return
    rows = [(one["name"], state(one), workers(one), one["failure_reason"]) for one in endpoints]
    print_table(["name", "status", "workers", "failure"], rows, "no endpoints yet: `seatrial deploy` makes one")


@app.command("show", epilog=example("seatrial endpoints show floorplan"))
def show(name: NameArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Show an endpoint: status, workers, jobs, versions with the stages of their trials."""
    server = connect(data)
    endpoint = server.get(f"/v1/endpoints/{name}")
    if json:
        print_json(endpoint)
        return
    scaled = server.get(f"/v1/endpoints/{name}/scaling")
    jobs = ", ".join(f"{count} {status}" for status, count in endpoint["jobs"].items())
    facts = [("endpoint", name), ("status", state(endpoint)), ("failure", endpoint["failure_reason"])]
    facts += [("stale", change) for change in endpoint["stale_because"]]
    print_facts([*facts, ("workers", workers(endpoint)), ("jobs", jobs), ("since", endpoint["created_at"])])
    if scaled["min"] is not None:
        print_facts([("scaled", f"{scaled['min']} to {scaled['max']}  (seatrial scale {name})")])
    print_facts([("canary", _canary(endpoint["canary"]))])
    for version in endpoint["versions"]:
        active = " (active)" if version["id"] == endpoint["active_version"] else ""
        print(f"\nversion {version['number']}{active}  {version['package']}  {version['package_sha256'][:12]}")
        print_table(
            ["stage", "state", "seconds", "what"], [stage_row(one) for one in version["stages"]], "no trial yet"
        )


@app.command("delete", epilog=example("seatrial endpoints delete floorplan"))
def delete(
    name: NameArgument,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is gone.")] = True,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Delete an endpoint: its workers end, its queued jobs fail."""
    server = connect(data)
    answer = server.call("DELETE", f"/v1/endpoints/{name}").json()
    if wait:
        with waiting(f"deleting {name}"):
            while _is_there(server, name):
                time.sleep(GONE_PAUSE_SECONDS)
        answer["status"] = "Deleted"
    if json:
        print_json(answer)
    else:
        note(f"{name} is {answer['status']}")


@app.command("history", epilog=example("seatrial endpoints history floorplan --kind canary"))
def history(
    name: NameArgument,
    kind: Annotated[EventKind | None, typer.Option(help="Only of this kind.", show_default=False)] = None,
    before: Annotated[
        str | None, typer.Option(help="Go on after this event of the page before.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIST_PAGE_MAX)] = 50,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show what happened to an endpoint, newest first: its statuses with their reasons, its canaries, its scaling."""
    chosen = None if kind is None else kind.value
    page = connect(data).get(f"/v1/endpoints/{name}/history", kind=chosen, before=before, limit=limit)
    if json:
        print_json(page)
        return
    rows = [(one["at"], one["kind"], one["what"], one["version"], one["message"]) for one in page["events"]]
    print_table(["at", "kind", "what", "version", "why"], rows, "nothing yet")
    if page["next"]:
        note(f"more: --before {page['next']}")


def _canary(canary: dict[str, Any] | None) -> str | None:
    if canary is None:
        return None
    return f"{canary['state']} {canary['ended_at'] or canary['started_at']}  {canary['message']}".rstrip()


def state(endpoint: dict[str, Any]) -> str:
    """The status; unproven endpoints are always shown as such, and those whose report is stale."""
    marks = [mark for mark in ("unproven", "stale") if endpoint[mark]]
    return f"{endpoint['status']} ({', '.join(marks)})" if marks else str(endpoint["status"])


def workers(endpoint: dict[str, Any]) -> str:
    """How many are ready of how many there should be."""
    return f"{endpoint['workers']['ready']}/{endpoint['workers']['desired']}"


def stage_row(stage: dict[str, Any]) -> tuple[Any, ...]:
    """A stage for a table of stages."""
    seconds = stage_seconds(stage)
    return stage["stage"], stage["state"], None if seconds is None else f"{seconds:.1f}", stage["message"]


def _is_there(server: Any, name: str) -> bool:
    try:
        server.ask("GET", f"/v1/endpoints/{name}")
    except Refused as refused:
        if refused.status == 404:
            return False
        end(refused, {})
    return True
