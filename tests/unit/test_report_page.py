"""The page of a report, and the tables that JSON answers become in it."""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from seatrial.adapters.system.signing_key import load_or_create_signing_key
from seatrial.domain.limits import REPORT_CELL_CHARS_MAX, REPORT_ROWS_MAX
from seatrial.engine.report import sealed
from seatrial.engine.report.meshes import drawable
from seatrial.engine.report.page import CHANGED, GONE, Page, page
from seatrial.engine.report.tables import Grid, Media, Text, cell_of

PNG = io.BytesIO()
Image.new("RGB", (9, 9), "red").save(PNG, "PNG")
NASTY = "</script><b onclick=x>&\"'"


def test_objects_are_names_and_values_and_like_ones_share_heads() -> None:
    cell = cell_of({"count": 2, "rooms": [{"id": 1, "area": 2.5}, {"id": 2}], "corners": [[0, 0], [1, 2]]})
    assert isinstance(cell, Grid)
    (count, rooms, corners) = cell.rows
    assert count == (Text("count"), Text("2"))
    assert corners[1] == Text("[[0, 0], [1, 2]]")
    long = cell_of([{"id": number, "area": "x" * 20} for number in range(9)])
    assert isinstance(long, Grid)
    assert (long.heads, len(long.rows)) == (("id", "area"), 9)
    assert rooms[1] == Text('[{"id": 1, "area": 2.5}, {"id": 2}]')


def test_what_is_too_much_is_counted() -> None:
    cell = cell_of({"names": [f"name {number} of many" for number in range(REPORT_ROWS_MAX + 10)]})
    assert isinstance(cell, Grid)
    inner = cell.rows[0][1]
    assert isinstance(inner, Grid)
    assert (len(inner.rows), inner.more) == (REPORT_ROWS_MAX - 1, 11)
    text = cell_of("x" * 100_000)
    assert isinstance(text, Text)
    assert len(text.text) == REPORT_CELL_CHARS_MAX + 1


def test_depth_has_an_end() -> None:
    value: Any = "down " * 30
    for _ in range(500):
        value = {"in": value}
    cell, depth = cell_of(value), 0
    while isinstance(cell, Grid):
        cell, depth = cell.rows[0][1], depth + 1
    assert depth == 8


def test_media_within_json_are_found_and_words_are_not() -> None:
    encoded = base64.b64encode(PNG.getvalue()).decode()
    assert cell_of(encoded) == Media("image/png", encoded)
    assert cell_of("data:image/png;base64," + encoded) == Media("image/png", encoded)
    for words in ("plain words " * 10, "QUJD" * 40, encoded[:40], encoded + "<b>"):
        assert isinstance(cell_of(words), Text)


def document(**item: Any) -> dict[str, Any]:
    shown = {"role": "output", "name": f"result {NASTY}", "media_type": f"image/png {NASTY}", **item}
    stage = {
        "stage": "inspect",
        "state": "failed",
        "message": NASTY,
        "started_at_ms": 5,
        "ended_at_ms": 9,
        "details": {"remedy": NASTY, "warnings": [NASTY], "left_out": [NASTY], NASTY: {NASTY: [NASTY] * 9}},
    }
    return {
        "endpoint": "plans",
        "version": 1,
        "version_id": "v",
        "package": {"source": NASTY, "sha256": "0" * 64},
        "state": "failed",
        "failure_reason": NASTY,
        "unproven": True,
        "made_at_ms": 0,
        "seatrial": "0",
        "bound_to": {"platform": {"sha256": "0" * 64, "facts": {NASTY: NASTY}}},
        "stages": [stage],
        "samples": [{"task": NASTY, "sample": NASTY, "job_id": "j", "seconds": 1.5, "items": [shown]}],
        "samples_in_all": 7,
    }


def drawn(tmp_path: Path, content: bytes | None, **item: Any) -> str:
    signer = load_or_create_signing_key(tmp_path)
    made = document(**item)
    shown = Page(made, sealed(made, signer), signer.public_pem, {"v/1": content}, (f"package: {NASTY}",))
    return page(shown)


def kept(content: bytes, media_type: str) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"sha256": sha256, "kept": {"key": "v/1", "media_type": media_type, "sha256": sha256}}


def test_nothing_said_anywhere_becomes_markup(tmp_path: Path) -> None:
    for content, media_type in (
        (json.dumps({NASTY: [NASTY, {NASTY: NASTY}]}).encode(), "application/json"),
        (NASTY.encode(), "text/html"),
        (PNG.getvalue(), "image/png"),
    ):
        text = drawn(tmp_path, content, **kept(content, media_type))
        assert "<b onclick" not in text
        assert text.count("</script>") == 1, "our own"
        assert "1 of 7 are shown" in text
        assert "Unproven: " in text


@pytest.mark.parametrize(("content", "words"), [(b"other bytes", CHANGED), (None, GONE)])
def test_kept_bytes_that_were_not_signed_are_not_shown(tmp_path: Path, content: bytes | None, words: str) -> None:
    text = drawn(tmp_path, content, **kept(PNG.getvalue(), "image/png"))
    assert words in text
    assert "data:image" not in text.partition("</head>")[2]


PLY = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
PLY += "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


@pytest.mark.parametrize(("form", "text"), [("ply", PLY), ("obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")])
def test_meshes_of_other_formats_are_drawn_as_gltf(form: str, text: str) -> None:
    made = drawable(text.encode(), form)
    assert isinstance(made, bytes)
    assert made.startswith(b"glTF")
    assert drawable(text[:-12].encode(), "stl") == "not kept: it is no STL that can be drawn"


def test_a_mesh_that_says_too_much_is_not_read() -> None:
    assert drawable(PLY.replace("vertex 3", "vertex 3000000000").encode(), "ply") == (
        "not kept: it is no PLY that can be drawn"
    )
