"""`seatrial canary`: run samples of an endpoint again, and say how they ended."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from seatrial.cli.deploy import report
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import note, print_facts, print_json, print_table, waiting
from seatrial.cli.server import LONG_POLL_SECONDS, Server, connect
from seatrial.cli.trial import watch_trial

app = typer.Typer(add_completion=False)


@app.command("canary", epilog=example("seatrial canary floorplan"))
def canary(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")] = True,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Run the quickest sample of every task again, on the version in service. Exit code 1 when one fails.

    An endpoint that has left service is put on trial again, and serves once that has passed.
    """
    server = connect(data)
    path = f"/v1/endpoints/{name}"
    asked = server.call("POST", f"{path}/canary").json()
    if asked is None:
        _on_trial(server, server.get(path), wait, json)
        return
    if wait:
        with waiting(f"running samples of {name}"):
            asked = _ended(server, path, asked)
    if json:
        print_json(asked)
    elif wait:
        _print(name, asked)
    else:
        note(f"the canary of {name} runs; `seatrial endpoints show {name}` shows how it ends")
    if asked["state"] == "failed":
        fail(f"the canary of {name} failed: {asked['message']}")
    if asked["state"] == "skipped":
        fail(f"the canary of {name} was not run: {asked['message']}", ExitCode.NOT_PROVABLE)


def _on_trial(server: Server, endpoint: dict[str, Any], wait: bool, json: bool) -> None:
    name = endpoint["name"]
    note(f"{name} had left service: its last version is on trial again")
    if wait:
        endpoint = watch_trial(server, endpoint)
    if json:
        print_json(endpoint)
    if wait:
        report(endpoint, quiet=json)


def _ended(server: Server, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    endpoint = server.get(path)
    while endpoint["canary"]["id"] == asked["id"] and endpoint["canary"]["state"] == "running":
        endpoint = server.get(path, wait=LONG_POLL_SECONDS, since=endpoint["change"])
    if endpoint["canary"]["id"] == asked["id"]:
        return dict(endpoint["canary"])
    events = server.get(f"{path}/history", kind="canary")["events"]  # another one has begun since
    ended = next(one for one in events if one["id"] == asked["id"])
    return asked | {"state": ended["what"], "message": ended["message"], "ended_at": ended["at"], **_runs(ended)}


def _runs(event: dict[str, Any]) -> dict[str, Any]:
    return {"runs": event["details"]["runs"]}


def _print(name: str, ended: dict[str, Any]) -> None:
    print_facts([("endpoint", name), ("canary", ended["state"]), ("what", ended["message"])])
    rows = [(one["task"], one["sample"], one["state"], f"{one['seconds']:.2f}", one["job_id"]) for one in ended["runs"]]
    print_table(["task", "sample", "state", "seconds", "job"], rows, "nothing was run")
