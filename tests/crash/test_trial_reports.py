"""Reports as the engine keeps them: bounded, gone with their version, and worth nothing once somebody touched them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.objects import ObjectName
from seatrial.engine.report import REPORTS_BUCKET, Item, Shown, kept
from seatrial.engine.report.kept import NO_ROOM, Keeping


async def version(engine: Any, name: str = "e") -> EndpointVersion:
    versions: list[EndpointVersion] = await engine.deployer.versions(name)
    return versions[-1]


async def keys(engine: Any) -> list[str]:
    page = await engine.objects.list(REPORTS_BUCKET)
    return [info.name.key for info in page.objects]


async def put(engine: Any, key: str, content: bytes) -> None:
    sealed = await engine.objects.stage(content, len(content))
    await engine.objects.reveal(sealed, ObjectName(REPORTS_BUCKET, key), "application/json", {})


async def test_a_report_goes_with_its_version(engine: Any) -> None:
    await engine.deploy()
    await engine.deploy(name="other")
    one, other = await version(engine), await version(engine, "other")
    assert {key.partition("/")[0] for key in await keys(engine)} == {one.id, other.id}
    await engine.deployer.delete("e")
    await engine.gone()
    left = await keys(engine)
    assert {key.partition("/")[0] for key in left} == {other.id}
    await put(engine, "long-gone/report.json", b"{}")  # as a crash in a deletion leaves it
    assert await engine.deployer.reports.remove_unused(engine.deployer.version_ids(), 2**62) == 1
    assert await keys(engine) == left


async def test_a_report_that_somebody_touched_is_stale(engine: Any) -> None:
    await engine.deploy()
    await engine.deploy(name="other")
    reports, one = engine.deployer.reports, await version(engine)
    assert await reports.look(one) == ()
    foreign = await reports.content(f"{(await version(engine, 'other')).id}/report.json")
    for content, words in (
        (foreign, "report: it is the report of another version"),
        (b"{}", "report: it is no signed report"),
        (b"[", "report: it is no signed report"),
    ):
        await put(engine, f"{one.id}/report.json", content)
        assert await reports.look(one) == (words,)
        assert reports.known(one.id) == (words,)


async def test_a_new_key_makes_old_reports_stale(engine: Any) -> None:
    await engine.deploy()
    one = await version(engine)
    await engine.close()
    (engine.data / "signing-key.pem").unlink()
    again = await engine.restarted()
    (said,) = await again.deployer.reports.look(one) or ()
    assert said.startswith("report: it is signed with the key SHA256:")


async def test_an_unproven_endpoint_says_so_in_its_report(engine: Any) -> None:
    files = {
        "seatrial.toml": '[package]\nhandler = "m:M"\n[tasks.do]\n',
        "m.py": "class M:\n def do(self): return {}\n",
    }
    await engine.deploy(engine.package(files), unproven=True)
    report = await engine.deployer.reports.read((await version(engine)).id)
    assert report.document["unproven"]
    assert report.document["samples"] == []
    assert "environment" in report.document["bound_to"]


async def test_a_package_that_never_came_has_a_report_too(engine: Any) -> None:
    package = ObjectName("nowhere", "model.tar.gz")
    await engine.deployer.create(replace(engine.deployment("echo", "e", {}), package=package))
    await engine.settled()
    report = await engine.deployer.reports.read((await version(engine)).id)
    assert report.document["state"] == "failed"
    assert "There is no object s3://nowhere/model.tar.gz" in report.document["failure_reason"]
    assert list(report.document["bound_to"]) == ["platform"]


def picture(kind: str, mode: str, side: int) -> bytes:
    made = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("F").point(lambda value: value * 257).convert(mode).save(
        made, kind
    )
    return made.getvalue()


async def test_what_is_kept_is_bounded(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "REPORT_ITEM_BYTES_MAX", 50_000)
    monkeypatch.setattr(kept, "REPORT_TEXT_BYTES_MAX", 1_000)
    monkeypatch.setattr(kept, "REPORT_KEPT_BYTES_MAX", 200_000)

    def item(name: str, media_type: str, content: bytes) -> Item:
        (tmp_path / name).write_bytes(content)
        return Item("output", name, media_type, tmp_path / name)

    many = [item(f"more{number}", "image/png", picture("PNG", "L", 90) + bytes(40_000)) for number in range(5)]
    items = [
        item("small.png", "image/png", picture("PNG", "L", 90)),
        item("unnamed", "application/octet-stream", b"glTF" + bytes(100)),
        item("deep.tif", "image/tiff", picture("TIFF", "I", 300)),
        item("words.txt", "text/plain; charset=utf-8", b"w" * 5_000),
        item("weights.bin", "application/x-weights", b"\0" * 100),
        Item("output", "gone", "image/png", tmp_path / "gone"),
        *many,
    ]
    (said,) = await Keeping(engine.objects, ObjectName(REPORTS_BUCKET, "v/")).keep([Shown("t", "s", "j", 1.0, items)])
    small, mesh, deep, words, weights, gone, *more = said["items"]
    assert small["kept"]["sha256"] == small["sha256"]
    assert mesh["kept"]["media_type"] == "model/gltf-binary"
    assert deep["note"].startswith("a preview of at most")
    with Image.open(io.BytesIO(await engine.read(ObjectName(REPORTS_BUCKET, deep["kept"]["key"])))) as preview:
        assert preview.getextrema() == (0, 255), "16 bits are brought into 8, not cut"
    assert words["note"] == "its first 1,000 bytes"
    assert weights["note"] == "not kept: there is no view of application/x-weights"
    assert len(weights["sha256"]) == 64
    assert "gone when the report was made" in gone["note"]
    assert [one.get("note") for one in more] == [None, None, None, None, NO_ROOM]
    json.dumps(said)
