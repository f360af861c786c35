"""`seatrial webhooks`: who is told of an endpoint, each with a secret of its own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import note, print_facts, print_json, print_table
from seatrial.cli.server import connect
from seatrial.domain.delivery import EVENTS
from seatrial.domain.limits import WEBHOOK_OVERLAP_HOURS_DEFAULT, WEBHOOK_OVERLAP_HOURS_MAX

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Who is told of an endpoint and its jobs, each with a secret of its own.",
    epilog=example("seatrial webhooks add floorplan https://example.org/hook --event failed --event endpoint"),
)
EndpointArgument = Annotated[str, typer.Argument(help="The endpoint.", show_default=False)]
IdArgument = Annotated[str, typer.Argument(help="The webhook, such as wh_0123456789abcdef.", show_default=False)]
_ADD_EXAMPLE = example(
    "seatrial webhooks add floorplan https://example.org/hook",
    "seatrial webhooks add floorplan https://example.org/pager --event failed --event endpoint --event canary",
)


@app.command("add", epilog=_ADD_EXAMPLE)
def add(
    endpoint: EndpointArgument,
    url: Annotated[str, typer.Argument(help="Where deliveries are posted.", show_default=False)],
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help=f"One of {', '.join(EVENTS)}; may come often.", show_default=False),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Add a webhook. Its secret is printed now and never again.

    Without --event it is told of the ends of jobs, of failing canaries, and when the endpoint fails.
    """
    wanted = {"url": url} | ({"events": " ".join(event)} if event else {})
    made = connect(data).call("POST", f"/v1/endpoints/{endpoint}/webhooks", json=wanted).json()
    print_json(made) if json else _print_made(made)


@app.command("list", epilog=example("seatrial webhooks list floorplan"))
def list_webhooks(endpoint: EndpointArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """List an endpoint's webhooks, oldest first."""
    page = connect(data).get(f"/v1/endpoints/{endpoint}/webhooks")
    if json:
        print_json(page)
        return
    rows = [(one["id"], one["url"], " ".join(one["events"]), one["created_at"]) for one in page["webhooks"]]
    print_table(("ID", "URL", "EVENTS", "CREATED"), rows, "no webhooks: seatrial webhooks add ENDPOINT URL")


@app.command("rotate", epilog=example("seatrial webhooks rotate floorplan wh_0123456789abcdef --overlap-hours 1"))
def rotate(
    endpoint: EndpointArgument,
    id: IdArgument,
    overlap_hours: Annotated[
        int,
        typer.Option(min=0, max=WEBHOOK_OVERLAP_HOURS_MAX, help="How long the secret before it signs as well."),
    ] = WEBHOOK_OVERLAP_HOURS_DEFAULT,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make another secret. It is printed now and never again."""
    path, wanted = f"/v1/endpoints/{endpoint}/webhooks/{id}/rotate", {"overlap_hours": overlap_hours}
    made = connect(data).call("POST", path, json=wanted).json()
    print_json(made) if json else _print_made(made)


@app.command("remove", epilog=example("seatrial webhooks remove floorplan wh_0123456789abcdef"))
def remove(endpoint: EndpointArgument, id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Remove a webhook: it is told nothing any more."""
    connect(data).call("DELETE", f"/v1/endpoints/{endpoint}/webhooks/{id}")
    print_json({"removed": id}) if json else print(f"{id} is removed")


def _print_made(made: dict[str, Any]) -> None:
    names = ("id", "url", "secret")
    print_facts([*((name, made[name]) for name in names), ("events", " ".join(made["events"]))])
    note("The secret is not told again: keep it where the receiver reads it.")
