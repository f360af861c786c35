"""Outputs are held against the validators that the contract names: in trials, and for every job."""

import textwrap
from typing import Any

import pytest

from seatrial.domain.endpoint import EndpointStatus
from seatrial.domain.jobs import JobState
from seatrial.package.checks import validators

TOML = """
[package]
handler = "model:Model"
[tasks.draw.input.part_done]
type = "number"
required = true
[tasks.draw.output]
media_type = "application/json"
[tasks.draw.output.parts.picture]
media_type = "image/png"
validate = {validate}
[[tasks.draw.samples]]
name = "whole"
input = "samples/whole.json"
"""
MODEL = """
import math, struct, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

class Model:
    def draw(self, part_done):
        rows = []
        for y in range(400):
            painted = y < 400 * part_done
            level = [int(128 + 60 * math.sin(x / 9 + y / 31) + (x * 7 + y * 13) % 11) for x in range(400)]
            rows.append(b"\\0" + bytes(level if painted else 400))
        header = struct.pack(">IIBBBBB", 400, 400, 8, 0, 0, 0, 0)
        data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
        return {"picture": b"\\x89PNG\\r\\n\\x1a\\n" + data, "done": part_done}
"""
PORTRAIT = '{ extends = "default", image = { width = 400, height = 400 } }'


def files(validate: str, part_done: float = 1.0) -> dict[str, str]:
    return {
        "seatrial.toml": TOML.format(validate=validate),
        "model.py": MODEL,
        "samples/whole.json": f'{{"part_done": {part_done}}}',
        "profiles/square.toml": "[image]\nwidth = 300\n",
    }


async def test_what_a_validator_refuses_is_never_published(engine: Any) -> None:
    await engine.create(engine.package(files(PORTRAIT)))
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    good = await engine.ended(await engine.submit(body=b'{"part_done": 1.0}'))
    assert good.state is JobState.SUCCEEDED
    bad = await engine.ended(await engine.submit(body=b'{"part_done": 0.5}'))
    assert bad.state is JobState.FAILED
    assert bad.failure["error_type"] == "output_invalid"
    assert bad.failure["details"]["finding"] == "image.edge_band"
    assert bad.failure["details"]["field"] == "picture"
    assert bad.failure["message"].startswith("The part 'picture' of task 'draw' is not valid: ")
    assert bad.failure["details"]["remedy"]
    assert not bad.parts


@pytest.mark.parametrize(
    ("validate", "part_done", "why"),
    [
        ('"default"', 0.3, "(image.edge_band)"),
        ('"studio"', 1.0, "(file.size)"),
        ('"profiles/square.toml"', 1.0, "(image.dimensions)"),
    ],
)
async def test_a_sample_whose_output_is_wanting_fails_the_trial(
    engine: Any, validate: str, part_done: float, why: str
) -> None:
    await engine.create(engine.package(files(validate, part_done)))
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    assert "Sample 'whole' of task 'draw' failed: The part 'picture'" in endpoint.failure_reason
    assert why in endpoint.failure_reason
    assert "Remedy: " in endpoint.failure_reason


async def test_validators_whose_libraries_are_missing_are_named_at_the_deployment(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(kind: object) -> None:
        raise validators.MissingLibrary("trimesh")

    monkeypatch.setattr(validators, "checks_of", missing)
    await engine.create(engine.package(files(PORTRAIT)))
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    reason = textwrap.dedent(
        """\
        inspect: [tasks.draw.output.parts.picture] asks for validators of image/png, and trimesh is not installed:
        pip install 'seatrial[validate]'. Remedy: Install it where the server runs (pip install 'seatrial[validate]'),
        or take `validate` out."""
    ).replace("\n", " ")
    assert endpoint.failure_reason == f"{reason} Reproduce: seatrial trial rerun e --from inspect"
