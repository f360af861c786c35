"""Tests of the package alone: pictures drawn here, the real handler, no server."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from floorplan.handler import FloorPlan


@pytest.fixture(scope="session")
def handler() -> FloorPlan:
    return FloorPlan()


@pytest.fixture
def two_rooms() -> np.ndarray:
    """700 x 500 pixels, black walls of 16: a left room of 284 x 368 inside, a right one of 268 x 368, a
    door gap of 60 between them and one of 60 to outdoors."""
    plan = np.full((500, 700), 255, np.uint8)
    cv2.rectangle(plan, (50, 50), (649, 449), 0, cv2.FILLED)
    cv2.rectangle(plan, (66, 66), (349, 433), 255, cv2.FILLED)
    cv2.rectangle(plan, (366, 66), (633, 433), 255, cv2.FILLED)
    plan[200:260, 350:366] = 255
    plan[434:450, 450:510] = 255
    return plan


@pytest.fixture
def write(tmp_path: Path):
    """Write a picture, return its path."""

    def write(picture: np.ndarray, name: str = "plan.png") -> Path:
        path = tmp_path / name
        assert cv2.imwrite(str(path), picture)
        return path

    return write
