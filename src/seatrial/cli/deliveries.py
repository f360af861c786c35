"""`seatrial deliveries`: list, show, replay."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import note, print_facts, print_json, print_table
from seatrial.cli.server import connect
from seatrial.domain.delivery import DeliveryState
from seatrial.domain.limits import LIST_PAGE_MAX

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Look at webhooks and send them again.",
    epilog=example("seatrial deliveries list"),
)
IdArgument = Annotated[str, typer.Argument(help="The delivery, such as msg_6f1c1f0e000040008000000000000000_1.")]


@app.command("list", epilog=example("seatrial deliveries list --status failed"))
def list_deliveries(
    job: Annotated[str | None, typer.Option(help="Only of this job.", show_default=False)] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.", show_default=False)] = None,
    status: Annotated[DeliveryState | None, typer.Option(help="Only with this status.", show_default=False)] = None,
    before: Annotated[
        str | None, typer.Option(help="Go on after this delivery of the page before.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIST_PAGE_MAX)] = 50,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List deliveries, newest first."""
    chosen = None if status is None else status.value
    page = connect(data).get("/v1/deliveries", job=job, endpoint=endpoint, status=chosen, before=before, limit=limit)
    if json:
        print_json(page)
        return
    rows = [
        (one["id"], one["event"], one["url"], one["status"], one["tries"], one["next_try_at"])
        for one in page["deliveries"]
    ]
    print_table(["id", "event", "url", "status", "tries", "next try"], rows, "no such deliveries")
    if page["next"]:
        note(f"more: --before {page['next']}")


@app.command("show", epilog=example("seatrial deliveries show msg_6f1c1f0e000040008000000000000000_1"))
def show(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Show a delivery: what it says, and what each try brought."""
    delivery = connect(data).get(f"/v1/deliveries/{id}")
    print_json(delivery) if json else _print(delivery)


@app.command("replay", epilog=example("seatrial deliveries replay msg_6f1c1f0e000040008000000000000000_1"))
def replay(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Deliver it again, under the same id."""
    delivery = connect(data).call("POST", f"/v1/deliveries/{id}/replay").json()
    print_json(delivery) if json else print(f"{id} is {delivery['status']}")


def _print(delivery: dict[str, Any]) -> None:
    names = ("id", "job_id", "endpoint", "url", "event", "status", "tries", "created_at", "next_try_at", "ended_at")
    print_facts([(name.replace("_", " "), delivery[name]) for name in names])
    for one in delivery["attempts"]:
        came = one["error"] or f"{one['status']} {one['answer']}".rstrip()
        print(f"  {one['number']}. {one['at']} after {one['duration_ms']} ms: {came}")
    print(delivery["body"])
