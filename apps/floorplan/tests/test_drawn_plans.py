"""A few drawn plans of every variety, end to end; the figures are evaluate.py's business."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from draw import VARIETIES, draw_plan
from evaluate import judge

PACKAGE = Path(__file__).resolve().parents[1]


def test_drawing_is_reproducible():
    one, other = draw_plan(3, "photograph"), draw_plan(3, "photograph")
    assert np.array_equal(one.picture, other.picture)
    assert np.array_equal(one.rooms, other.rooms)


def test_every_variety_can_be_drawn():
    for variety in VARIETIES:
        plan = draw_plan(2, variety)
        assert plan.picture.shape == plan.rooms.shape
        assert len(np.unique(plan.rooms)) > 3


@pytest.mark.parametrize(
    "variety", ["thin", "hatched", "dimensions", "photograph", "pale", "terraced", "export", "pen"]
)
def test_most_rooms_of_a_drawn_plan_are_found(handler, tmp_path, variety):
    tally = judge(draw_plan(5, variety), handler, tmp_path)
    assert tally.right >= 0.8 * max(tally.true, tally.found)


@pytest.mark.parametrize("sample", ["studio-flat", "photographed-flat"])
def test_samples_meet_their_expectation_and_the_schema(handler, sample):
    jsonschema = pytest.importorskip("jsonschema")
    folder = PACKAGE / "samples"
    inputs = json.loads((folder / f"{sample}.json").read_text())
    answer = handler.find_rooms(folder / f"{sample}.png", **{k: v for k, v in inputs.items() if k != "task"})
    overlay = answer.pop("overlay")
    answer["overlay"] = {
        "uri": "memory:overlay",
        "media_type": "image/png",
        "bytes": len(overlay),
        "sha256": hashlib.sha256(overlay).hexdigest(),
    }
    answer = json.loads(json.dumps(answer))
    for schema in (PACKAGE / "schemas" / "rooms.json", folder / f"{sample}.expect.json"):
        jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(answer)
