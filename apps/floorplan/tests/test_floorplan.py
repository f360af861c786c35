"""The package by itself, on plans that are drawn here: python -m pytest apps/floorplan/tests"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

PACKAGE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PACKAGE))

from draw import draw_plan  # noqa: E402
from evaluate import IOU_MIN, judge  # noqa: E402
from floorplan.errors import InputError  # noqa: E402
from floorplan.handler import FloorPlan  # noqa: E402


@pytest.fixture(scope="session")
def handler() -> FloorPlan:
    return FloorPlan()


@pytest.fixture
def two_rooms(tmp_path):
    """Two rooms of 300 x 400 with a door gap of 60 pixels between them, walls 10 thick."""
    picture = np.full((500, 740, 3), 255, np.uint8)
    cv2.rectangle(picture, (45, 45), (695, 455), (0, 0, 0), 10)
    cv2.line(picture, (370, 45), (370, 210), (0, 0, 0), 10)
    cv2.line(picture, (370, 270), (370, 455), (0, 0, 0), 10)
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), picture)
    return path


def test_a_door_gap_is_closed(handler, two_rooms):
    answer = handler.find_rooms(two_rooms)
    assert answer["room_count"] == 2
    left, right = sorted(answer["rooms"], key=lambda room: room["centroid"][0])
    assert left["centroid"] == pytest.approx([208, 250], abs=8)
    assert right["centroid"] == pytest.approx([532, 250], abs=8)
    assert left["area_pixels"] == pytest.approx(315 * 400, rel=0.05)
    assert all(0 <= room["confidence"] <= 1 for room in answer["rooms"])


def test_a_scale_gives_square_metres(handler, two_rooms):
    room = handler.find_rooms(two_rooms, metres_per_pixel=0.01)["rooms"][0]
    assert room["area_m2"] == pytest.approx(room["area_pixels"] * 0.0001, abs=0.001)
    assert handler.find_rooms(two_rooms)["rooms"][0]["area_m2"] is None


def test_the_same_picture_gives_the_same_answer(handler, two_rooms):
    assert handler.find_rooms(two_rooms) == handler.find_rooms(two_rooms)


def test_the_overlay_is_a_picture_of_the_plans_size(handler, two_rooms):
    overlay = cv2.imdecode(np.frombuffer(handler.find_rooms(two_rooms)["overlay"], np.uint8), cv2.IMREAD_COLOR)
    assert overlay.shape == (500, 740, 3)


def test_a_blank_sheet_has_no_rooms(handler, tmp_path):
    path = tmp_path / "blank.png"
    Image.new("RGB", (400, 300), "white").save(path)
    assert handler.find_rooms(path)["rooms"] == []


def test_exif_orientation_is_respected(handler, two_rooms, tmp_path):
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    Image.open(two_rooms).save(turned, exif=exif, quality=95)
    answer = handler.find_rooms(turned)
    assert answer["image"] == {"width": 500, "height": 740}
    assert answer["room_count"] == 2


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
def test_an_undecodable_file_is_a_structured_error(handler, tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        handler.find_rooms(path)
    assert caught.value.error_type == "image_undecodable"
    assert caught.value.field == "image"


@pytest.mark.parametrize("variety", ["thick", "thin", "grey", "skewed"])
def test_drawn_plans_of_each_manner(handler, tmp_path, variety):
    """Of two plans at least four fifths of the rooms at IoU 0.7; `evaluate.py` measures on hundreds."""
    right = true = 0
    for seed in (3, 4):
        tally = judge(draw_plan(seed, variety), handler, tmp_path)
        right, true = right + tally.right, true + tally.true
    assert IOU_MIN == 0.7
    assert right >= 0.8 * true
