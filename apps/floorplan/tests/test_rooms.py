"""Geometry of the rooms found in small drawn plans."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from floorplan import plan as algorithm
from floorplan.sheet import lay


def test_areas_boxes_and_centroids_of_two_rooms(handler, write, two_rooms):
    answer = handler.find_rooms(write(two_rooms))
    assert answer["image"] == {"width": 700, "height": 500}
    assert answer["room_count"] == len(answer["rooms"]) == 2
    left, right = answer["rooms"]
    assert left["number"], right["number"] == (1, 2)
    assert left["area_pixels"] == pytest.approx(284 * 368, rel=0.02)
    assert right["area_pixels"] == pytest.approx(268 * 368, rel=0.02)
    assert left["bounding_box"] == pytest.approx({"x": 66, "y": 66, "width": 284, "height": 368}, abs=3)
    assert left["centroid"] == pytest.approx([208, 250], abs=4)
    assert len(left["polygon"]) <= 8, "a rectangle needs few corners"


def test_scale_gives_square_metres(handler, write, two_rooms):
    rooms = handler.find_rooms(write(two_rooms), metres_per_pixel=0.01)["rooms"]
    assert rooms[0]["area_m2"] == pytest.approx(2.84 * 3.68, rel=0.02)


def test_no_scale_no_square_metres(handler, write, two_rooms):
    assert all(room["area_m2"] is None for room in handler.find_rooms(write(two_rooms))["rooms"])


def test_an_l_shaped_room_has_its_centroid_inside(handler, write):
    plan = np.full((600, 600), 255, np.uint8)
    outline = np.array([[50, 50], [200, 50], [200, 400], [550, 400], [550, 550], [50, 550]])
    cv2.polylines(plan, [outline], True, 0, 14)
    rooms = handler.find_rooms(write(plan))["rooms"]
    assert len(rooms) == 1
    ring = np.array(rooms[0]["polygon"], np.float32)
    assert cv2.pointPolygonTest(ring, tuple(rooms[0]["centroid"]), True) > 20
    assert len(ring) <= 8


def test_confidence_lies_between_0_and_1(handler, write, two_rooms):
    rooms = handler.find_rooms(write(two_rooms))["rooms"]
    assert all(0 < room["confidence"] <= 1 for room in rooms)


@pytest.mark.parametrize("degrees", [-5, -2.5, 1, 5])
def test_skew_is_tolerated(handler, write, two_rooms, degrees):
    turn = cv2.getRotationMatrix2D((350, 250), degrees, 1)
    rooms = handler.find_rooms(write(cv2.warpAffine(two_rooms, turn, (700, 500), borderValue=255)))["rooms"]
    assert sorted(room["area_pixels"] for room in rooms) == pytest.approx([268 * 368, 284 * 368], rel=0.03)
    centre = turn @ np.array([208, 250, 1])
    assert any(np.hypot(*(np.array(room["centroid"]) - centre)) < 6 for room in rooms)


@pytest.mark.parametrize("wall_grey", [60, 120, 170, 200])
def test_grey_walls(handler, write, two_rooms, wall_grey):
    plan = np.where(two_rooms == 0, wall_grey, 255).astype(np.uint8)
    assert handler.find_rooms(write(plan))["room_count"] == 2


def test_fields_between_dimension_lines_are_outdoors(handler, write, two_rooms):
    plan = np.pad(two_rooms, 120, constant_values=255)
    for y in (60, 100):
        cv2.line(plan, (160, y), (780, y), 0, 1)
    for x in (170, 478, 769):
        cv2.line(plan, (x, 50), (x, 165), 0, 1)
    assert handler.find_rooms(write(plan))["room_count"] == 2


def test_furniture_that_a_line_parts_from_the_room_belongs_to_it(handler, write, two_rooms):
    plain = handler.find_rooms(write(two_rooms))["rooms"]
    cv2.rectangle(two_rooms, (66, 66), (166, 110), 0, 1)  # a bath in the left room's corner
    cv2.rectangle(two_rooms, (590, 300), (633, 433), 0, 1)  # a wardrobe in the right room's
    furnished = handler.find_rooms(write(two_rooms))["rooms"]
    assert [room["area_pixels"] for room in furnished] == pytest.approx(
        [room["area_pixels"] for room in plain], rel=0.03
    )


def test_hatched_walls(handler, write, two_rooms):
    ys, xs = np.indices(two_rooms.shape)
    edges = cv2.morphologyEx(255 - two_rooms, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    strokes = (two_rooms == 0) & ((xs + ys) % 7 == 0)
    hatched = np.where(strokes, 0, 255 - edges).astype(np.uint8)
    rooms = handler.find_rooms(write(hatched))["rooms"]
    assert sorted(room["area_pixels"] for room in rooms) == pytest.approx([268 * 368, 284 * 368], rel=0.05)


def test_no_drawing_is_read_in_more_styles_than_the_limit(two_rooms, monkeypatch):
    read = []
    monkeypatch.setattr(algorithm, "read", lambda style, *rest: read.append(style.name))
    two_rooms[::9, 70:340] = 190  # stripes of another grey, so that styles differ
    algorithm.read_all(lay(cv2.cvtColor(two_rooms, cv2.COLOR_GRAY2RGB)))
    assert 1 < len(read) <= algorithm.READINGS_MAX


def test_hollow_walls(handler, write, two_rooms):
    edges = cv2.morphologyEx(255 - two_rooms, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    rooms = handler.find_rooms(write(255 - edges))["rooms"]
    assert sorted(room["area_pixels"] for room in rooms) == pytest.approx([268 * 368, 284 * 368], rel=0.05)


def test_white_walls_on_a_dark_screen(handler, write, two_rooms):
    assert handler.find_rooms(write(255 - two_rooms))["room_count"] == 2


def test_text_and_free_furniture_change_nothing(handler, write, two_rooms):
    plain = handler.find_rooms(write(two_rooms))["rooms"]
    cv2.putText(two_rooms, "LIVING 12.4", (120, 160), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 0, 2)
    cv2.rectangle(two_rooms, (450, 150), (560, 260), 0, 1)
    cv2.circle(two_rooms, (180, 320), 40, 0, 2)
    furnished = handler.find_rooms(write(two_rooms))["rooms"]
    assert len(furnished) == 2
    for before, after in zip(plain, furnished, strict=True):
        assert after["area_pixels"] == pytest.approx(before["area_pixels"], rel=0.02)


def test_uneven_light(handler, write, two_rooms):
    light = np.linspace(0.35, 1.0, 700)[None, :]
    plan = np.clip((40 + two_rooms * 0.8) * light, 0, 255).astype(np.uint8)
    assert handler.find_rooms(write(plan))["room_count"] == 2


def test_same_picture_same_answer(handler, write, two_rooms):
    path = write(two_rooms)
    assert handler.find_rooms(path) == handler.find_rooms(path)
