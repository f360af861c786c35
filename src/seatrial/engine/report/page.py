"""A report as one HTML page that needs nothing else: pictures, meshes, sound and film lie in it as data.

Everything that a handler or a package said is escaped by the template; the page's own script and style are the only
ones that its policy lets run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from seatrial.domain.media_types import is_json
from seatrial.engine.outputs import PRIMARY
from seatrial.engine.report.envelope import Envelope, key_id
from seatrial.engine.report.tables import Media, Text, cell_of

CHANGED = "what was kept of it is not what was signed: not shown"
GONE = "what was kept of it is gone"
_BAR_UNITS = 100


@dataclass(frozen=True, slots=True)
class Page:
    """What a page is made of. `contents` are the kept bytes by key; `changed` is since the trial, if known."""

    document: Mapping[str, Any]
    envelope: Envelope
    public_pem: str
    contents: Mapping[str, bytes | None]
    changed: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class View:
    """An item of a sample as it is shown: one of picture, mesh, sound, film, table, text or nothing (a note alone)."""

    item: Mapping[str, Any]
    kind: str
    value: Any = None
    note: str | None = None


def keys_of(document: Mapping[str, Any]) -> list[str]:
    """The keys of everything that a report has kept."""
    return [item["kept"]["key"] for sample in document["samples"] for item in sample["items"] if "kept" in item]


def page(shown: Page) -> str:
    """The HTML."""
    document = shown.document
    return _template().render(
        report=document,
        policy=POLICY,
        style=Markup(_asset("page.css")),  # noqa: S704 - our own
        script=Markup(_asset("page.js")),  # noqa: S704 - our own
        key_id=key_id(shown.public_pem),
        public_pem=shown.public_pem,
        envelope=json.dumps(dict(shown.envelope)),
        changed=shown.changed,
        made_at=_instant(document["made_at_ms"]),
        stages=list(_stages(document["stages"])),
        samples=[(sample, list(_views(sample["items"], shown.contents))) for sample in document["samples"]],
        bindings={name: (one["sha256"], cell_of(one["facts"])) for name, one in document["bound_to"].items()},
    )


def _stages(stages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each with its seconds, its bar (in hundredths of the whole trial) and its details as a table."""
    began = min((one["started_at_ms"] for one in stages), default=0)
    whole = max(1, max((one["ended_at_ms"] or began for one in stages), default=0) - began)
    for one in stages:
        took_ms = (one["ended_at_ms"] or one["started_at_ms"]) - one["started_at_ms"]
        details = dict(one["details"])
        yield {
            **one,
            "seconds": took_ms / 1000,
            "bar_at": _BAR_UNITS * (one["started_at_ms"] - began) / whole,
            "bar_width": max(0.5, _BAR_UNITS * took_ms / whole),
            "warnings": details.pop("warnings", []),
            "left_out": details.pop("left_out", []),
            "remedy": details.pop("remedy", None),
            "table": cell_of(details) if details else None,
        }


def _views(items: list[dict[str, Any]], contents: Mapping[str, bytes | None]) -> Iterator[View]:
    """Each item. What an answer says of its parts is left out of its table: they stand beside it."""
    parts = {item["name"] for item in items if item["role"] == "output" and item["name"] != PRIMARY}
    for item in items:
        yield _view(item, contents, parts if (item["role"], item["name"]) == ("output", PRIMARY) else frozenset())


def _view(item: Mapping[str, Any], contents: Mapping[str, bytes | None], left_out: Collection[str]) -> View:
    kept = item.get("kept")
    if kept is None:
        return View(item, "nothing", note=item.get("note"))
    content = contents.get(kept["key"])
    if content is None:
        return View(item, "nothing", note=GONE)
    if hashlib.sha256(content).hexdigest() != kept["sha256"]:
        return View(item, "nothing", note=CHANGED)
    return _viewed(item, kept["media_type"], content, left_out)


def _viewed(item: Mapping[str, Any], media_type: str, content: bytes, left_out: Collection[str]) -> View:
    note = item.get("note")
    if is_json(media_type):
        try:
            value = json.loads(content)
        except ValueError:
            media_type = "text/plain"
        else:
            if isinstance(value, dict):
                value = {name: one for name, one in value.items() if name not in left_out}
            return View(item, "table", cell_of(value), note)
    if media_type.startswith("text/"):
        return View(item, "text", content.decode("utf-8", "replace"), note)
    return View(item, "media", Media(media_type, base64.b64encode(content).decode()), note)


def _media_kind(media_type: str) -> str:
    """How the template shows it."""
    kinds = {"image": "picture", "audio": "sound", "video": "film"}
    return "mesh" if media_type == "model/gltf-binary" else kinds.get(media_type.partition("/")[0], "nothing")


def _kind_of_cell(cell: Any) -> str:
    return "text" if isinstance(cell, Text) else "media" if isinstance(cell, Media) else "grid"


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("seatrial.engine.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"media_kind": _media_kind, "kind": _kind_of_cell}
    return environment.get_template("page.html")


@cache
def _asset(name: str) -> str:
    return files("seatrial.engine.report").joinpath(name).read_text(encoding="utf-8")


def _allowed(name: str) -> str:
    """An inline script or style by its hash, as a Content Security Policy names it."""
    digest = base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode()
    return f"'sha256-{digest}'"


POLICY = (
    f"default-src 'none'; img-src data:; media-src data:; style-src {_allowed('page.css')}; "
    f"script-src {_allowed('page.js')}; base-uri 'none'; form-action 'none'"
)
