"""`seatrial keys`: make, list, show, change, rotate, revoke."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import note, print_facts, print_json, print_table
from seatrial.cli.server import connect
from seatrial.domain.credentials import GIVEN_SCOPES
from seatrial.domain.limits import KEY_OVERLAP_HOURS_DEFAULT, KEY_OVERLAP_HOURS_MAX

_SCOPES = ", ".join(GIVEN_SCOPES)
_IN = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Keys with scopes and reach, for clients, workers and colleagues.",
    epilog=example("seatrial keys create --name shop --scope submit --scope read --endpoint floorplan"),
)
IdArgument = Annotated[str, typer.Argument(help="The key, such as key_4b7c0q2m8x1z5k9t.", show_default=False)]
ScopeOption = Annotated[
    list[str] | None, typer.Option("--scope", help=f"One of {_SCOPES}; may come often.", show_default=False)
]
EndpointOption = Annotated[
    list[str] | None,
    typer.Option("--endpoint", help='An endpoint that it reaches, or "*"; may come often.', show_default=False),
]
BucketOption = Annotated[
    list[str] | None,
    typer.Option("--bucket", help='A bucket that it reaches, or "*"; may come often.', show_default=False),
]
ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", help="In 90d (m, h, d, w), or a time such as 2027-01-31T12:00Z.", show_default=False),
]


@app.command(
    "create",
    epilog=example(
        "seatrial keys create --name shop --scope submit --scope read --endpoint floorplan --expires 90d",
        "seatrial keys create --name gpu-box --scope worker --endpoint floorplan",
    ),
)
def create(
    scope: ScopeOption = None,
    name: Annotated[str, typer.Option(help="What people call it.", show_default=False)] = "",
    endpoint: EndpointOption = None,
    bucket: BucketOption = None,
    expires: ExpiresOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key. Its secrets are printed now and never again.

    With neither --endpoint nor --bucket it reaches everything; with some, only those.
    """
    if not scope:
        fail("a key needs a scope", ExitCode.USAGE, f"add --scope, one of {_SCOPES}")
    wanted = {"name": name, "scopes": scope, "endpoints": endpoint, "buckets": bucket, "expires_at": _expiry(expires)}
    made = connect(data).call("POST", "/v1/keys", json=wanted).json()
    print_json(made) if json else _print_made(made)


@app.command("list", epilog=example("seatrial keys list"))
def list_keys(data: DataOption = None, json: JsonOption = False) -> None:
    """List keys, the oldest first."""
    page = connect(data).get("/v1/keys")
    if json:
        print_json(page)
        return
    rows = [
        (one["id"], one["name"], one["state"], " ".join(one["scopes"]), _reach(one), one["last_used_at"] or "never")
        for one in page["keys"]
    ]
    print_table(["id", "name", "state", "scopes", "reach", "last used"], rows, "no keys but the owner's own")


@app.command("show", epilog=example("seatrial keys show key_4b7c0q2m8x1z5k9t"))
def show(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Show a key: what it may do, until when, and when it was last used."""
    key = connect(data).get(f"/v1/keys/{id}")
    print_json(key) if json else _print(key)


@app.command("change", epilog=example("seatrial keys change key_4b7c0q2m8x1z5k9t --endpoint floorplan"))
def change(
    id: IdArgument,
    scope: ScopeOption = None,
    name: Annotated[str | None, typer.Option(help="What people call it.", show_default=False)] = None,
    endpoint: EndpointOption = None,
    bucket: BucketOption = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", help='As with create; "never" takes it away.', show_default=False),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Change what a key may do, from now on; what is not named stays. --endpoint and --bucket replace the reach."""
    wanted: dict[str, Any] = {"name": name, "scopes": scope}
    wanted = {field: value for field, value in wanted.items() if value is not None}
    if endpoint or bucket:
        wanted |= {"endpoints": endpoint, "buckets": bucket}
    if expires is not None:
        wanted["expires_at"] = None if expires == "never" else _expiry(expires)
    if not wanted:
        fail("nothing to change", ExitCode.USAGE, "add --scope, --endpoint, --bucket, --name or --expires")
    key = connect(data).call("PATCH", f"/v1/keys/{id}", json=wanted).json()
    print_json(key) if json else _print(key)


@app.command("rotate", epilog=example("seatrial keys rotate key_4b7c0q2m8x1z5k9t --overlap-hours 48"))
def rotate(
    id: IdArgument,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=KEY_OVERLAP_HOURS_MAX, help="For how long the old secrets still hold.")
    ] = KEY_OVERLAP_HOURS_DEFAULT,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make new secrets for a key. They are printed now and never again."""
    made = connect(data).call("POST", f"/v1/keys/{id}/rotate", json={"overlap_hours": overlap_hours}).json()
    print_json(made) if json else _print_made(made)


@app.command("revoke", epilog=example("seatrial keys revoke key_4b7c0q2m8x1z5k9t"))
def revoke(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """End a key at once and for good, with every URL that it signed."""
    key = connect(data).call("DELETE", f"/v1/keys/{id}").json()
    print_json(key) if json else print(f"{id} is revoked")


def _print_made(made: dict[str, Any]) -> None:
    """Facts to people; the variables to the standard output, for `eval "$(seatrial keys create …)"`."""
    for name, value in _facts(made["key"]):
        note(f"{name}: {value}")
    for variable, member in (
        ("SEATRIAL_API_KEY", "api_key"),
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
    ):
        print(f"export {variable}={made[member]}")
    note("Keep them: they are not shown again.")


def _print(key: dict[str, Any]) -> None:
    print_facts(_facts(key))


def _facts(key: dict[str, Any]) -> list[tuple[str, Any]]:
    facts = [(name.replace("_", " "), key[name]) for name in ("id", "name", "state")]
    facts += [("scopes", " ".join(key["scopes"])), ("reach", _reach(key))]
    facts += [(name.replace("_", " "), key[name]) for name in ("created_at", "expires_at", "last_used_at")]
    facts += [
        (
            "secret",
            f"{one['access_key_id']}, API key …{one['api_key_ends_with']}"
            + (f", until {one['until']}" if one["until"] else ""),
        )
        for one in key["secrets"]
    ]
    return [(name, value) for name, value in facts if value not in (None, "")]


def _reach(key: dict[str, Any]) -> str:
    if key["endpoints"] is None and key["buckets"] is None:
        return "everything"
    told = [
        f"{kind} {'all' if key[kind] is None else ' '.join(key[kind])}"
        for kind in ("endpoints", "buckets")
        if key[kind] != []
    ]
    return ", ".join(told) or "nothing"


def _expiry(said: str | None) -> str | None:
    """A time of RFC 3339; "90d" counts from now."""
    if said is None:
        return None
    later = _IN.fullmatch(said)
    try:
        if later:
            return (datetime.now(UTC) + timedelta(**{_UNITS[later[2]]: int(later[1])})).isoformat()
        at = datetime.fromisoformat(said)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError):
        fail(f"{said!r} is no time", ExitCode.USAGE, "such as 90d, 12h or 2027-01-31T12:00Z")
