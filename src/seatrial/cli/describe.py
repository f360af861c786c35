"""`seatrial describe`: what an endpoint takes and returns, and how to call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from seatrial.cli.calls import CALLS, call_of
from seatrial.cli.endpoints import state
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, example
from seatrial.cli.screen import one_line, print_facts, print_json, print_table
from seatrial.cli.server import connect

LOADING = ("device", "cold_start_seconds", "load_log_patterns")
_LIMITS = {
    "minimum": "≥ {}", "maximum": "≤ {}", "exclusiveMinimum": "> {}", "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters", "maxLength": "at most {} characters", "pattern": "matches {}",
    "enum": "one of {}", "minItems": "at least {} items", "maxItems": "at most {} items",
}  # fmt: skip

_MEDIA_KEYS = frozenset((
    "form", "sources", "formats", "modes", "exif_rotated", "bytes_max", "pixels_min", "pixels_max", "key_field",
    "bucket_field", "bucket_default",
))  # fmt: skip


app = typer.Typer(add_completion=False)


@app.command("describe", epilog=example("seatrial describe floorplan --call curl"))
def describe(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    task: Annotated[str | None, typer.Option(help="Only this task.", show_default=False)] = None,
    call: Annotated[
        str | None, typer.Option(help=f"Only this call, bare: {', '.join(CALLS)}.", show_default=False)
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Print tasks, parameters, limits and ready-to-paste calls."""
    endpoint = connect(data).get(f"/v1/endpoints/{name}")
    contract = endpoint["contract"]
    tasks = _chosen(contract, task)
    calls = {one["name"] if one else "": call_of(name, contract, one) for one in tasks}
    if call is not None:
        _print_bare(calls, call)
    elif json:
        shown = {key: {kind: make(one) for kind, make in CALLS.items()} for key, one in calls.items()}
        facts = {key: endpoint[key] for key in ("status", "unproven", "stale", "stale_because")}
        said = {"endpoint": name, **facts, "contract": _without_media_keys(contract)}
        said |= {key: endpoint["versions"][-1][key] for key in LOADING if endpoint["versions"]}
        print_json(said | {"calls": shown})
    else:
        reason = one_line(endpoint["failure_reason"] or "")
        stale = [("stale", change) for change in endpoint["stale_because"]]
        print_facts([("endpoint", name), ("status", state(endpoint)), ("reason", reason), *stale])
        print_facts(_loading(endpoint["versions"]))
        for one in tasks if contract else ():  # no contract is known before the package was inspected
            _print_task(one, contract)
            for kind, make in CALLS.items():
                print(f"\n# {kind}\n{make(calls[one['name'] if one else ''])}")


def _loading(versions: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """What the newest version says about the loading of its model."""
    if not versions:
        return []
    version = versions[-1]
    budget = version["cold_start_seconds"]
    return [
        ("device", version["device"]),
        ("loads within", f"{budget:g} s" if budget else None),
        ("its log says", ", ".join(version["load_log_patterns"]) or None),
    ]


def _without_media_keys(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The contract, with what only media fields have left out of the others."""
    tasks = [task | {"fields": [_own_keys(field) for field in task["fields"]]} for task in contract.get("tasks", [])]
    return {**contract, "tasks": tasks} if tasks else dict(contract)


def _own_keys(field: Mapping[str, Any]) -> dict[str, Any]:
    foreign = () if field["type"] in ("image", "file") else _MEDIA_KEYS
    return {key: value for key, value in field.items() if key not in foreign}


def _print_bare(calls: Mapping[str, Any], kind: str) -> None:
    make = CALLS.get(kind)
    if make is None:
        fail(f"there is no call {kind!r}", ExitCode.USAGE, ", ".join(CALLS))
    print("\n\n".join(make(one) for one in calls.values()))


def _chosen(contract: Mapping[str, Any], task: str | None) -> list[Mapping[str, Any] | None]:
    tasks = contract.get("tasks", [])
    if task is None:
        return list(tasks) or [None]
    found = [one for one in tasks if task == one["name"] or task in one["aliases"]]
    if not found:
        names = ", ".join(one["name"] for one in tasks) or "this package declares no tasks"
        fail(f"there is no task {task!r}", ExitCode.NOT_FOUND, names)
    return found


def _print_task(task: Mapping[str, Any] | None, contract: Mapping[str, Any]) -> None:
    if task is None:
        print("\nThis package declares no contract: every body reaches the handler as it is.")
        return
    aliases = f" (also {', '.join(task['aliases'])})" if task["aliases"] else ""
    print(f"\ntask {task['name']}{aliases}  {task['description']}".rstrip())
    rows = [_field(one) for one in task["fields"]]
    print_table(["field", "type", "required", "limits", "what"], rows, "it takes no fields")
    output = task["output"]
    parts = ", ".join(f"{one['name']} ({one['media_type']})" for one in output["parts"])
    timeout = task["timeout_seconds"]
    facts = [("returns", output["media_type"] or "JSON"), ("with parts", parts), ("validated", _validated(output))]
    print_facts([*facts, ("runs at most", f"{timeout} s" if timeout else None), ("samples", len(task["samples"]))])
    if len(contract["tasks"]) > 1:
        print(f"the request names it in the field {contract['task_field']!r}")


def _validated(output: Mapping[str, Any]) -> str:
    """Such as "picture by studio": which parts of an answer the validators look at, and by which profile."""
    named = [("the answer", output.get("validate"))]
    named += [(one["name"], one.get("validate")) for one in output["parts"]]
    said = [(name, dict(table)) for name, table in named if table is not None]
    return ", ".join(
        f"{name} by {table.pop('extends', 'default')}{' with thresholds of its own' if table else ''}"
        for name, table in said
    )


def _field(field: Mapping[str, Any]) -> tuple[Any, ...]:
    required = "yes" if field["required"] else "no"
    return field["name"], field["type"], required, "; ".join(_limits(field)), field["description"]


def _limits(field: Mapping[str, Any]) -> list[str]:
    if field["type"] in ("image", "file"):
        formats = [", ".join(field["formats"])] if field["formats"] else []
        pixels = _pixels(field) if field["type"] == "image" else []
        sources = f"as {', '.join(field['sources'])}"
        return [*formats, f"at most {field['bytes_max'] / 2**20:g} MiB", *pixels, sources, *_key_words(field)]
    limits = [words.format(field["schema"][key]) for key, words in _LIMITS.items() if key in field["schema"]]
    return limits if field["default"] is None else [*limits, f"default {field['default']}"]


def _pixels(field: Mapping[str, Any]) -> list[str]:
    modes, least = ", ".join(field.get("modes", ())), field.get("pixels_min", 1)
    said = [modes] if modes else []
    said += [f"at least {least:,} pixels"] if least > 1 else []
    most = f"{field['pixels_max'] / 1e6:g}"
    return [
        *said,
        f"at most {most} megapixel{'' if most == '1' else 's'}",
        *(["turned by EXIF"] if field.get("exif_rotated") else []),
    ]


def _key_words(field: Mapping[str, Any]) -> list[str]:
    """The request fields beside a media field that may name its object."""
    if "key" not in field["sources"]:
        return []
    key = [f"or an object key in {field['key_field']!r}"] if field["key_field"] else []
    bucket = [f"a key's bucket in {field['bucket_field']!r}"] if field["bucket_field"] else []
    default = [f"a key's default bucket {field['bucket_default']}"] if field["bucket_default"] else []
    return [*key, *bucket, *default]
