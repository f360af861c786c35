"""Good and damaged JSON: the answers of a detector."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from benchmarks.outputs.item import Item, Maker, Random
from seatrial.prove.validate import DEFAULT, Profile

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["rooms", "width", "height"],
    "properties": {
        "width": {"type": "integer", "minimum": 1},
        "height": {"type": "integer", "minimum": 1},
        "rooms": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "area", "corners"],
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "area": {"type": "number", "exclusiveMinimum": 0},
                    "corners": {
                        "type": "array",
                        "minItems": 3,
                        "items": {"type": "array", "minItems": 2, "maxItems": 2},
                    },
                },
            },
        },
    },
    "additionalProperties": False,
}


def _profile() -> Profile:
    return replace(DEFAULT, json=replace(DEFAULT.json, schema=SCHEMA))


def answer(random: Random) -> dict[str, Any]:
    """A valid answer."""
    rooms = [
        {
            "name": str(random.choice(["kitchen", "Küche", "room \u2116 4", "bath"])),
            "area": float(random.uniform(1, 400)),
            "corners": random.integers(0, 2000, (int(random.integers(3, 9)), 2)).tolist(),
        }
        for _ in range(random.integers(1, 12))
    ]
    return {"rooms": rooms, "width": int(random.integers(100, 4000)), "height": int(random.integers(100, 4000))}


def item(random: Random, document: Any, damage: str = "") -> Item:
    indent = 2 if random.random() < 0.5 else None
    text = json.dumps(document, indent=indent, ensure_ascii=bool(random.random() < 0.5))
    return Item("answer.json", "json", text.encode(), "answer", damage, _profile())


def good(random: Random) -> Item:
    return item(random, answer(random))


def good_lines(random: Random) -> Item:
    """JSON Lines, with or without an end of the last line."""
    lines = "\n".join(json.dumps(answer(random)) for _ in range(random.integers(1, 9)))
    return Item("answers.jsonl", "json", (lines + "\n" * int(random.integers(0, 2))).encode(), "lines", "", _profile())


def cut(random: Random) -> Item:
    whole = good(random)
    return replace(whole, data=whole.data[: int(random.integers(1, len(whole.data)))], damage="cut at a byte")


def not_finite(random: Random) -> Item:
    document = answer(random)
    document["rooms"][0]["area"] = random.choice([float("nan"), float("inf")])
    return item(random, document, "NaN")


def broken(random: Random) -> Item:
    """Python instead of JSON, or text around it, or bytes that are no text."""
    document = answer(random)
    kind = random.integers(0, 3)
    text = [repr(document), f"INFO loaded\n{json.dumps(document)}", json.dumps(document)[:-1] + ",}"][kind]
    return Item("answer.json", "json", text.encode(), "answer", "no JSON", _profile())


def not_text(random: Random) -> Item:
    data = good(random).data
    return Item("answer.json", "json", data[:20] + b"\xff\xfe\x80" + data[20:], "answer", "no UTF-8", _profile())


def off_schema(random: Random) -> Item:
    """One thing is not as the schema says."""
    document = answer(random)
    kind = random.integers(0, 5)
    if kind == 0:
        del document["rooms"]
    elif kind == 1:
        document["width"] = str(document["width"])
    elif kind == 2:
        document["rooms"][-1]["corners"] = []
    elif kind == 3:
        document["status"] = "error"
    else:
        document = [document]  # type: ignore[assignment]
    return item(random, document, "off its schema")


def deep(random: Random) -> Item:
    depth = int(random.choice([150, 100_000]))
    return Item("answer.json", "json", b"[" * depth + b"]" * depth, "nested", "too deep")


GOOD: dict[str, Maker] = {"one": good, "lines": good_lines}
DAMAGED: dict[str, Maker] = {
    "cut at a byte": cut,
    "NaN": not_finite,
    "no JSON": broken,
    "off its schema": off_schema,
    "no UTF-8": not_text,
    "off its schema, again": off_schema,
    "too deep": deep,
}
