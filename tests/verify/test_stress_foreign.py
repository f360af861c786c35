"""`seatrial stress` of what others run, unmodified: RunPod's own server and Cog's own server, with their callbacks."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def pressed(seatrial, tmp_path):
    """The report of a short run that has to pass."""
    from PIL import Image, ImageDraw

    drawn = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    ImageDraw.Draw(drawn).ellipse((8, 8, 30, 30), fill=(200, 40, 40))
    drawn.save(tmp_path / "picture.png")
    drawn.rotate(90, expand=True).save(tmp_path / "turned.png")

    def press(target, contract, *options):
        (tmp_path / "contract.toml").write_text(contract)
        few = ("--concurrent", "5", "--sequential", "4", "--rounds", "1", "--patience", "30")
        scenarios = ("--scenario", "concurrent", "--scenario", "sequential", "--json")
        done = seatrial("stress", target, "--contract", "contract.toml", *few, *scenarios, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return press


def test_runpods_own_server(runpod_server, pressed):
    told = pressed(
        runpod_server.url.replace("http", "runpod+http", 1),
        """
        [package]
        task_field = "task"
        [tasks.mirror.output.parts.mirrored]
        media_type = "image/png"
        [[tasks.mirror.samples]]
        name = "lying"
        files = { image = "picture.png" }
        [[tasks.mirror.samples]]
        name = "standing"
        files = { image = "turned.png" }
        """,
    )
    assert (told["counts"]["total"], told["counts"]["valid"]) == (9, 9)
    assert [one["callbacks"]["matched"] for one in told["scenarios"]] == [5, 4]


def test_cogs_own_server_refuses_a_second_one_and_is_asked_again(cog_server, pressed):
    told = pressed(
        cog_server.url.replace("http", "cog+http", 1),
        """
        [tasks.predict.output]
        media_type = "image/png"
        [[tasks.predict.samples]]
        name = "turned"
        input = { degrees = 30 }
        files = { image = "picture.png" }
        """,
        "--vary",
        "degrees=10,50",
    )
    assert (told["counts"]["total"], told["counts"]["valid"]) == (9, 9)
    assert [one["callbacks"]["matched"] for one in told["scenarios"]] == [5, 4]
