"""Samples' pictures are tried in every form that the contract declares, and in no other."""

from typing import Any

import pytest

from seatrial.domain.endpoint import EndpointStatus, TrialStage

TOML = """
[package]
handler = "model:Model"
[tasks.look.input.photo]
type = "image"
required = true
form = "bytes"
sources = ["uri"]
{declared}
[[tasks.look.samples]]
name = "one"
files = {{ photo = "samples/one.png" }}
expect = "samples/expect.json"
"""
MODEL = """
class Model:
    def look(self, photo):
        width, height = int.from_bytes(photo[16:20], "big"), int.from_bytes(photo[20:24], "big")
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[photo[25]] if photo.startswith(b"\\x89PNG") else 0
        if channels == 4:
            raise ValueError("the tensor has 4 channels, expected 3")
        if 0 < width < 8:
            raise ValueError("nothing is left of it after three poolings")
        return {"channels": channels, "beginning": photo[:4].hex()}
"""


async def tried(engine: Any, png: Any, declared: str, **settings: Any) -> tuple[Any, Any]:
    """The endpoint, and the reports of its trial."""
    expect = '{"properties": {"beginning": {"const": "89504e47"}}}'
    folder = engine.package(
        {"seatrial.toml": TOML.format(declared=declared), "model.py": MODEL, "samples/expect.json": expect}
    )
    (folder / "samples" / "one.png").write_bytes(png(40, 20))
    await engine.create(folder, **settings)
    endpoint = await engine.settled()
    versions = await engine.deployer.versions("e")
    return endpoint, {one.stage: one for one in versions[-1].stages}


async def test_what_is_declared_is_tried_once(engine: Any, png: Any) -> None:
    declared = """
    formats = ["png", "jpeg", "webp", "heic"]
    modes = ["rgb", "grey", "grey16"]
    exif_rotated = true
    pixels_min = 200
    pixels_max = 30_000_000
    """
    endpoint, found = await tried(engine, png, declared)
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    prove = found[TrialStage.PROVE]
    ways = [one.get("as", "").removeprefix("field 'photo' of task 'look' ") for one in prove.details["samples"]]
    tried_ways = {"", "as JPEG", "as WEBP", "turned by EXIF", "at the smallest size, 200 pixels"}
    assert tried_ways <= set(ways)
    assert len(ways) == len(set(ways)) == 1 + 2 + 2 + 1 + 1
    assert [one.removeprefix("field 'photo' of task 'look' ") for one in prove.details["left_out"]] == [
        "as HEIC: nothing here writes that format",
        "at the largest size, 30,000,000 pixels: pictures of more than 25,000,000 pixels are not made",
    ]
    refused = {one["request"]: one["error_type"] for one in found[TrialStage.REFUSE].details["refused"]}
    assert refused["too small a picture in 'photo' of task 'look'"] == "media_too_small"
    assert refused["an oversized file in 'photo' of task 'look'"] == "media_too_large"


@pytest.mark.parametrize(
    ("declared", "words", "narrow"),
    [
        (
            'modes = ["grey", "rgb", "rgba"]',
            "field 'photo' of task 'look' as rgba failed: the tensor has 4 channels, expected 3",
            "leave 'rgba' out of `modes` in [tasks.look.input.photo]",
        ),
        (
            "pixels_min = 8",
            "field 'photo' of task 'look' at the smallest size, 8 pixels failed: nothing is left of it",
            "set pixels_min higher in [tasks.look.input.photo]",
        ),
    ],
)
async def test_a_declared_form_that_fails_names_how_to_narrow_the_contract(
    engine: Any, png: Any, declared: str, words: str, narrow: str
) -> None:
    endpoint, _ = await tried(engine, png, declared)
    assert endpoint.status is EndpointStatus.FAILED
    assert f"prove: {words}" in endpoint.failure_reason
    assert narrow in endpoint.failure_reason


async def test_an_orientation_that_is_not_heeded_is_found_by_the_answer(engine: Any, png: Any) -> None:
    toml = TOML.format(declared="exif_rotated = true").replace('expect = "samples/expect.json"', "")
    heedless = (
        "class Model:\n    def look(self, photo):\n        return {'width': int.from_bytes(photo[16:20], 'big')}\n"
    )
    folder = engine.package({"seatrial.toml": toml, "model.py": heedless})
    (folder / "samples").mkdir()
    (folder / "samples" / "one.png").write_bytes(png(40, 20))
    await engine.create(folder)
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.FAILED
    assert "turned by EXIF: the answer is the one to the same pixels without the orientation" in endpoint.failure_reason
    assert "take `exif_rotated` out in [tasks.look.input.photo]" in endpoint.failure_reason


async def test_what_is_not_declared_is_not_tried(engine: Any, png: Any) -> None:
    endpoint, found = await tried(engine, png, "")
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    assert len(found[TrialStage.PROVE].details["samples"]) == 1


async def test_a_picture_that_is_the_whole_body_is_tried_as_well(engine: Any, png: Any) -> None:
    toml = TOML.format(declared='formats = ["png", "jpeg", "webp"]').replace('"uri"', '"raw"')
    toml = toml.replace('files = { photo = "samples/one.png" }', 'input = "samples/one.png"\nmedia_type = "image/png"')
    folder = engine.package({"seatrial.toml": toml, "model.py": MODEL, "samples/expect.json": "{}"})
    (folder / "samples" / "one.png").write_bytes(png(40, 20))
    await engine.create(folder)
    endpoint = await engine.settled()
    assert endpoint.status is EndpointStatus.IN_SERVICE, endpoint.failure_reason
    versions = await engine.deployer.versions("e")
    prove = {one.stage: one for one in versions[-1].stages}[TrialStage.PROVE]
    ways = [one.get("as", "").removeprefix("field 'photo' of task 'look' ") for one in prove.details["samples"]]
    assert ways == ["", "as JPEG", "as WEBP"]
