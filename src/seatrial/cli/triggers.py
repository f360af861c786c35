"""`seatrial triggers`: which objects of a bucket become jobs of which endpoint."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import print_facts, print_json, print_table
from seatrial.cli.server import connect
from seatrial.domain.triggers import GIVEN

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Which objects of a bucket become jobs of which endpoint.",
    epilog=example("seatrial triggers set plans floorplan --prefix in/ --suffix .png"),
)
TriggerArgument = Annotated[str, typer.Argument(help="The trigger: its id, or its name.", show_default=False)]
BucketOption = Annotated[str | None, typer.Option("--bucket", help="Only of this bucket.", show_default=False)]


@app.command("list", epilog=example("seatrial triggers list --bucket plans"))
def list_triggers(bucket: BucketOption = None, data: DataOption = None, json: JsonOption = False) -> None:
    """List triggers, those of packages and of buckets' notification configurations too."""
    page = connect(data).get("/v1/triggers", bucket=bucket)
    if json:
        print_json(page)
        return
    rows = [(one["name"], _objects(one), one["target"], one["origin"], one["id"]) for one in page["triggers"]]
    print_table(["name", "objects", "leads to", "set by", "id"], rows, "no triggers: seatrial triggers set --help")


@app.command("show", epilog=example("seatrial triggers show new-plans"))
def show(trigger: TriggerArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Show a trigger with the last objects that set it off, and the job that each became."""
    server = connect(data)
    shown = server.get(f"/v1/triggers/{_id(server, trigger)}")
    print_json(shown) if json else _print(shown)


@app.command(
    "set",
    epilog=example(
        "seatrial triggers set plans floorplan --prefix in/ --suffix .png",
        "seatrial triggers set plans floorplan --name new-plans --result 's3://done/{job_id}.json'",
        "seatrial triggers set plans my-function --event s3",
    ),
)
def set_trigger(
    bucket: Annotated[str, typer.Argument(help="Where the objects come to.", show_default=False)],
    endpoint: Annotated[str, typer.Argument(help="Whose jobs they become.", show_default=False)],
    name: Annotated[
        str | None, typer.Option(help="What it is called; the endpoint's name unless said.", show_default=False)
    ] = None,
    prefix: Annotated[str, typer.Option(help="How their keys begin.", show_default=False)] = "",
    suffix: Annotated[str, typer.Option(help="How their keys end.", show_default=False)] = "",
    event: Annotated[
        str, typer.Option(help=f"What the job is given: {', '.join(GIVEN)}. Not the object: an event of that service.")
    ] = GIVEN[0],
    on: Annotated[
        list[str] | None,
        typer.Option("--on", help="S3's event, such as s3:ObjectCreated:Put; may come often.", show_default=False),
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task of the jobs.", show_default=False)] = None,
    media_type: Annotated[
        str | None, typer.Option(help="What the objects are taken for; as they were stored.", show_default=False)
    ] = None,
    result: Annotated[
        str | None, typer.Option(help="Where results go, with {job_id} in it.", show_default=False)
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Let objects of a bucket become jobs of an endpoint, from now on. One of the same name is changed."""
    given = {"task": task, "media_type": media_type, "result": result, "events": on or None}
    wanted: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    wanted |= {"bucket": bucket, "endpoint": endpoint, "name": name or endpoint, "event": event, "replace": True}
    made = connect(data).call("POST", "/v1/triggers", json=wanted | {"prefix": prefix, "suffix": suffix}).json()
    print_json(made) if json else _print(made)


@app.command("delete", epilog=example("seatrial triggers delete new-plans"))
def delete(trigger: TriggerArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """End a trigger; events that it was not acted upon for are dropped."""
    server = connect(data)
    trigger_id = _id(server, trigger)
    server.call("DELETE", f"/v1/triggers/{trigger_id}")
    print_json({"deleted": trigger_id}) if json else print(f"{trigger} is deleted")


def _id(server: Any, trigger: str) -> str:
    """The id of the only trigger of a name; anything else is taken for an id."""
    found = [one for one in server.get("/v1/triggers")["triggers"] if trigger in (one["name"], one["id"])]
    if len(found) > 1:
        ids = ", ".join(f"{one['id']} ({one['bucket']})" for one in found)
        fail(f"{len(found)} triggers are called {trigger!r}", ExitCode.USAGE, f"name one by its id: {ids}")
    return str(found[0]["id"]) if found else trigger


def _objects(trigger: dict[str, Any]) -> str:
    return f"s3://{trigger['bucket']}/{trigger['prefix']}*{trigger['suffix']}"


def _print(trigger: dict[str, Any]) -> None:
    facts = [(name, trigger[name]) for name in ("id", "name")]
    facts += [("objects", _objects(trigger)), ("events", " ".join(trigger["events"]))]
    facts += [("leads to", trigger["target"]), ("set by", trigger["origin"])]
    facts += [
        (name, trigger["options"][name])
        for name in ("event", "task", "media_type", "result")
        if name in trigger["options"]
    ]
    print_facts(facts)
    if "last_events" in trigger:
        print()
        rows = [(one["at"], one["uri"], one["event"], one["status"], one["outcome"]) for one in trigger["last_events"]]
        print_table(["at", "object", "event", "status", "what came of it"], rows, "nothing has set it off yet")
