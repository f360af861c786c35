"""The drawing sheet: the picture made comparable, so that later steps need one set of measures.

Uneven light is divided out, a dark background is inverted, the drawing is turned upright and
scaled so that its long side measures `SIDE` pixels. Lengths in the later steps are in these pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from floorplan.morphology import components, extents

SIDE = 1400
"""Long side of the drawing (not of the page) in pixels of the sheet."""

MARGIN = 40
"""White border around the drawing, so that "outside" is one connected region."""

ENLARGEMENT_MAX = 4.0
INK_TONE = 0.80
"""Darker than this is ink; darker than `FAINT_TONE` may be a thin line that shrinking has faded."""

FAINT_TONE = 0.87
SKEW_DEGREES_MAX = 20.0


@dataclass(frozen=True)
class Sheet:
    """`tone` is 0 (black) .. 1 (paper), float32. `to_picture` maps sheet to picture pixels (2 x 3)."""

    tone: np.ndarray
    to_picture: np.ndarray

    @property
    def picture_pixel(self) -> float:
        """Side of one pixel of the picture, in sheet pixels."""
        return 1.0 / math.sqrt(abs(float(np.linalg.det(self.to_picture[:, :2]))))


def lay(rgb: np.ndarray) -> Sheet:
    """Bring a picture to a sheet."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    preview_scale = min(1.0, 2 * SIDE / max(grey.shape))
    preview = _resized(grey, preview_scale)
    preview_tone = even_light(preview)
    left, top, right, bottom = _drawing_box(preview_tone)
    degrees = skew_degrees(preview_tone)
    scale = min(SIDE / max(right - left, bottom - top), ENLARGEMENT_MAX)
    to_sheet, size = _transform((left, top, right, bottom), scale, degrees)
    tone = cv2.warpAffine(
        _prefiltered(preview_tone, scale),
        to_sheet,
        size,
        flags=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR,
        borderValue=1.0,
    )
    whole = to_sheet @ np.diag([preview_scale, preview_scale, 1.0])
    return Sheet(np.clip(tone, 0, 1), cv2.invertAffineTransform(whole))


def even_light(grey: np.ndarray) -> np.ndarray:
    """Divide by the local paper brightness; return tones 0..1 (Retinex-like flat-field correction).

    The paper's brightness is a grey closing (lines and walls vanish, shadows stay), smoothed.
    """
    if np.median(grey) < 90 and np.percentile(grey, 99) - np.median(grey) > 60:
        grey = 255 - grey  # white lines on a dark ground, as CAD screens show them
    small = _resized(grey, min(1.0, 500 / max(grey.shape)))
    reach = max(15, max(small.shape) // 16) | 1
    paper = cv2.morphologyEx(
        cv2.medianBlur(small, 3),
        cv2.MORPH_CLOSE,
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)),
        borderType=cv2.BORDER_REPLICATE,
    )
    paper = cv2.GaussianBlur(paper, (0, 0), reach / 4)
    paper = cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return np.clip(grey / np.maximum(paper, 60.0), 0.0, 1.0).astype(np.float32)


def skew_degrees(tone: np.ndarray) -> float:
    """Return by how many degrees the drawing is turned (positive: clockwise on the screen).

    Straight line segments vote with their length for their angle modulo 90 degrees.
    """
    ink = (255 * (tone < INK_TONE)).astype(np.uint8)
    edges = cv2.Canny(ink, 50, 150)
    shortest = max(20, max(tone.shape) // 25)
    segments = cv2.HoughLinesP(edges, 1, math.pi / 720, shortest, minLineLength=shortest, maxLineGap=3)
    if segments is None:
        return 0.0
    x1, y1, x2, y2 = segments.reshape(-1, 4).astype(float).T
    lengths = np.hypot(x2 - x1, y2 - y1)
    angles = (np.degrees(np.arctan2(y2 - y1, x2 - x1)) + 45) % 90 - 45
    near = np.abs(angles) <= SKEW_DEGREES_MAX
    if lengths[near].sum() < 0.3 * lengths.sum():
        return 0.0
    votes, bounds = np.histogram(angles[near], bins=np.arange(-20.25, 20.5, 0.5), weights=lengths[near] ** 2)
    peak = bounds[int(np.argmax(np.convolve(votes, [1, 2, 1], "same")))] + 0.25
    close = near & (np.abs(angles - peak) < 1.0)
    degrees = float(np.average(angles[close], weights=lengths[close] ** 2)) if close.any() else float(peak)
    return degrees if abs(degrees) > 0.15 else 0.0


def _drawing_box(tone: np.ndarray) -> tuple[int, int, int, int]:
    """Box around the ink, ignoring specks: components must reach 2 % of the page."""
    ink = (tone < INK_TONE).astype(np.uint8)
    ink = cv2.dilate(ink, np.ones((3, 3), np.uint8))
    _, stats = components(ink)
    extent = extents(stats)[1:]
    big = stats[1:][extent >= max(0.02 * max(tone.shape), 0.35 * extent.max(initial=0))]
    if not len(big):
        return 0, 0, tone.shape[1], tone.shape[0]
    return (
        int(big[:, 0].min()),
        int(big[:, 1].min()),
        int((big[:, 0] + big[:, 2]).max()),
        int((big[:, 1] + big[:, 3]).max()),
    )


def _transform(box: tuple[int, int, int, int], scale: float, degrees: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Affine map (2 x 3) that turns the box upright, scales it and leaves a margin; and the size."""
    left, top, right, bottom = box
    turn = cv2.getRotationMatrix2D((0, 0), degrees, scale)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)
    turned = corners @ turn[:, :2].T
    turn[:, 2] = MARGIN - turned.min(axis=0)
    width, height = np.ceil(np.ptp(turned, axis=0)).astype(int) + 2 * MARGIN
    return turn, (int(width), int(height))


def _prefiltered(tone: np.ndarray, scale: float) -> np.ndarray:
    """Blur before shrinking, so that thin lines fade instead of breaking up."""
    return tone if scale >= 1 else cv2.GaussianBlur(tone, (0, 0), 0.4 / scale)


def _resized(grey: np.ndarray, scale: float) -> np.ndarray:
    return grey if scale >= 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
