"""What comes in and what goes out: formats, orientation, errors, the overlay, the command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from floorplan.errors import InputError


def test_blank_paper_has_no_rooms(handler, write):
    answer = handler.find_rooms(write(np.full((400, 400), 255, np.uint8)))
    assert (answer["rooms"], answer["room_count"]) == ([], 0)
    assert answer["overlay"].startswith(b"\x89PNG")


def test_a_soft_gradient_has_no_rooms(handler, write):
    assert handler.find_rooms(write(np.tile(np.linspace(90, 220, 600).astype(np.uint8), (400, 1))))["rooms"] == []


def test_exif_orientation_and_a_wrong_file_name(handler, tmp_path, two_rooms):
    path = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise for viewing
    Image.fromarray(two_rooms).save(path, "JPEG", exif=exif, quality=95)
    answer = handler.find_rooms(path)
    assert answer["image"] == {"width": 500, "height": 700}
    first, second = answer["rooms"]
    assert first["centroid"] == pytest.approx([500 - 250, 208], abs=5)
    assert second["centroid"] == pytest.approx([500 - 250, 500], abs=5)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16"])
def test_kinds_of_pixels(handler, tmp_path, two_rooms, mode):
    path = tmp_path / "plan.png"
    grey = Image.fromarray(two_rooms)
    if mode == "I;16":
        picture = Image.fromarray(two_rooms.astype(np.uint16) * 257)
    elif mode in ("LA", "RGBA"):  # black walls on nothing at all
        picture = Image.new(mode, grey.size, 0)
        picture.putalpha(Image.fromarray(255 - two_rooms))
    else:
        picture = grey.convert(mode)
    picture.save(path)
    assert handler.find_rooms(path)["room_count"] == 2


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tiff", "bmp"])
def test_formats(handler, write, two_rooms, suffix):
    assert handler.find_rooms(write(two_rooms, f"plan.{suffix}"))["room_count"] == 2


@pytest.mark.parametrize(
    ("content", "error_type"),
    [(b"", "image_undecodable"), (b"not a picture", "image_undecodable"), (None, "image_missing")],
)
def test_unusable_files(handler, tmp_path, content, error_type):
    path = tmp_path / "plan.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        handler.find_rooms(path)
    assert (caught.value.error_type, caught.value.field) == (error_type, "image")
    assert str(caught.value)


def test_a_truncated_file(handler, tmp_path, two_rooms):
    buffer = io.BytesIO()
    Image.fromarray(two_rooms).save(buffer, "PNG")
    path = tmp_path / "plan.png"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(InputError) as caught:
        handler.find_rooms(path)
    assert caught.value.error_type == "image_undecodable"
    assert "PNG" in caught.value.message


def test_too_small_and_too_large(handler, write, tmp_path):
    with pytest.raises(InputError) as caught:
        handler.find_rooms(write(np.full((20, 400), 255, np.uint8)))
    assert caught.value.error_type == "image_too_small"
    path = tmp_path / "huge.png"
    Image.new("1", (10_000, 5_001)).save(path)
    with pytest.raises(InputError) as caught:
        handler.find_rooms(path)
    assert caught.value.error_type == "image_too_large"


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_impossible_scales(handler, write, two_rooms, scale):
    with pytest.raises(InputError) as caught:
        handler.find_rooms(write(two_rooms), metres_per_pixel=scale)
    assert (caught.value.error_type, caught.value.field) == ("scale_invalid", "metres_per_pixel")


def test_a_big_plan_keeps_its_coordinates(handler, write, two_rooms):
    big = cv2.resize(two_rooms, (4000, 3000), interpolation=cv2.INTER_NEAREST)
    answer = handler.find_rooms(write(big))
    assert answer["room_count"] == 2
    assert answer["rooms"][0]["centroid"] == pytest.approx([208 / 700 * 4000, 1500], abs=25)
    overlay = cv2.imdecode(np.frombuffer(answer["overlay"], np.uint8), cv2.IMREAD_COLOR)
    assert overlay.shape == (3000, 4000, 3)


def test_the_overlay_tints_rooms_in_different_colours(handler, write, two_rooms):
    overlay = handler.find_rooms(write(np.pad(two_rooms, 200, constant_values=255)))["overlay"]
    pixels = cv2.imdecode(np.frombuffer(overlay, np.uint8), cv2.IMREAD_COLOR).astype(int)
    left, right, outdoors = pixels[320, 300], pixels[320, 800], pixels[60, 60]
    assert np.ptp(outdoors) == 0
    assert np.ptp(left) > 20
    assert np.ptp(right) > 20
    assert np.abs(left - right).max() > 20


def test_command_line(tmp_path, write, two_rooms):
    overlay = tmp_path / "overlay.png"
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "floorplan",
            str(write(two_rooms)),
            "-o",
            str(overlay),
            "--json",
            "--metres-per-pixel",
            "0.01",
        ],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout)["room_count"] == 2
    assert overlay.read_bytes().startswith(b"\x89PNG")


def test_command_line_says_what_is_wrong(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "floorplan", str(tmp_path / "none.png")],
        check=False,
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert "image_missing" in run.stderr
