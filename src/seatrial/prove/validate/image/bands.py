"""Where a decoder or a renderer stopped: constant bands that lie hard against a picture's content.

What tells a stopped decoder's band from a dark floor, a white background, a sky or a letterbox:

- Every line of the band is one colour, exactly. Content has noise or shades.
- The band begins at the same line over the whole width (give or take a block of 16 lines), where a silhouette does not.
- It begins at once: the last line of content is as far from the band's colour as the content behind it, where a fade or
  a blurred edge comes near it first.
- The opposite edge has no such band: a letterbox, a frame, a margin have.
- The content has texture or shades: a flag, a chart or a drawing is made of constant bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.prove.validate.image.picture import Lines, greatest

EXACT = 2  # levels: how far a pixel of a constant band may be from its colour
NAMED = 3  # levels: how far a colour may be from the one that it is named after
STRAY = 12, 0.05  # levels, share: how far a few of its pixels may be, in a picture that was stored with losses
BLURRED = 40, 0.5  # the same, in a bar that is thinner than a codec's block
NEARS = (EXACT, 8, 24)  # levels: what beside an edge still counts as the band's, since losses blur it
BLOCK_LINES = 16  # of a decoder's or a codec's largest block
FULL_WIDTH_SHARE, FULL_WIDTH_SHARE_FILL = 0.75, 0.6  # of the samples, for which the band begins within two blocks
HARD_RATIO = 0.55  # of the distance to the band's colour, right beside it and DEPTH lines further
HARD_LEVELS = 6.0
BEYOND = 1.5  # times NEARS: nearer than that, the content may come near the band little by little
CLEAR_LEVELS, CLEAR_LEVELS_GREY = 40.0, 9.0  # from this distance on the steepest step over it counts too
STEP_LINES_FILL = 3  # over which codecs with coarser colours than brightness spread a step; skies are never such a fill
DEPTH = 8
COLOUR_SAMPLES = 65  # of a line, whose median is taken for its colour
BESIDE_SHARE = 0.2  # of the samples beside the band that differ from a neighbour: there is texture
BESIDE_SHARE_TRANSPARENT = 0.02
SHADED_SHARE = 0.2  # of all content that is not made of a few common colours
SHADED_SHARE_COLOUR = 0.5  # the same beside bands of colours that drawings have
FLAT_SHARE, FLAT_SHARE_WHITE = (
    0.5,
    0.35,
)  # of all content that has one of two levels that stand out: drawings have more
COMMON_SHARE = 0.05  # of all content: a colour that has more of it is a flat one
LETTERBOX_RATIO, LETTERBOX_SHARE = 1.5, 0.03  # a letterbox's bars may differ by that
FILLS = ("black", "transparent", "grey")  # what decoders leave where nothing was decoded


@dataclass(frozen=True, slots=True)
class Band:
    """A band of constant lines at the end of a picture."""

    lines: int
    levels: tuple[int, ...]  # of its colour
    share: float  # of all lines
    colour: str  # black, transparent, grey (127 to 129), white, or the levels
    full_width_share: float
    hard_ratio: float
    hard_levels: float
    beside_share: float  # of the content's samples beside it, those that differ from a neighbour
    shaded_share: float  # of all content's samples, those of no common colour
    flat_share: float  # of all content's samples, those of the two levels that stand out most

    def is_like(self, other: Band) -> bool:
        """Whether both have one colour, as far as losses leave it one."""
        near = (abs(one - another) for one, another in zip(self.levels, other.levels, strict=True))
        return self.colour == other.colour or all(levels <= NAMED for levels in near)

    @property
    def is_fill(self) -> bool:
        """Whether it has a colour that decoders leave."""
        return self.colour in FILLS

    @property
    def is_cut(self) -> bool:
        """Whether it lies hard against content over the whole width."""
        wanted = FULL_WIDTH_SHARE_FILL if self.is_fill else FULL_WIDTH_SHARE
        return _is_hard(self.hard_ratio, self.hard_levels) and self.full_width_share >= wanted

    @property
    def cuts_content(self) -> bool:
        """Whether more than a flat drawing ends at it."""
        if self.colour == "transparent":
            return self.beside_share >= BESIDE_SHARE_TRANSPARENT
        textured = self.beside_share >= BESIDE_SHARE
        shaded = self.shaded_share >= SHADED_SHARE
        if self.is_fill:
            return shaded or self.flat_share <= FLAT_SHARE
        if self.colour == "white":
            return textured and (shaded or self.flat_share <= FLAT_SHARE_WHITE)
        return textured and self.shaded_share >= SHADED_SHARE_COLOUR


def constant_lines(
    lines: Lines, colour: NDArray[np.int16] | None = None, stray: tuple[int, float] = STRAY
) -> NDArray[np.bool_]:
    """Which lines are of one colour each: of this one, or else of any."""
    few = lines[:, :: max(1, lines.shape[1] // COLOUR_SAMPLES)]
    centre = np.median(few, axis=1).astype(np.int16)[:, None] if colour is None else colour
    far = greatest(np.abs(lines - centre))
    levels, share = stray
    return np.asarray((far.max(axis=1) <= levels) & ((far > EXACT).mean(axis=1) <= share))


def band_at_end(lines: Lines, stray: tuple[int, float] = STRAY) -> Band | None:
    """The constant band that ends the lines; None: the last line is not constant, or all lines are in it."""
    colour = np.median(lines[-1], axis=0).astype(np.int16)
    if not constant_lines(lines[-1:], colour, stray).all():
        return None
    count = _trailing(constant_lines(lines, colour, stray))
    if count in (0, len(lines)):
        return None
    content = lines[: len(lines) - count]
    window = 2 * BLOCK_LINES if len(lines) > 10 * BLOCK_LINES else BLOCK_LINES + 2
    borders = [_border(content, colour, near, window) for near in NEARS]
    best = max(borders, key=lambda one: (_is_hard(*one[1:]), one[0]))
    apart = BLOCK_LINES if len(content) >= 3 * BLOCK_LINES else 0  # losses disturb flat areas beside an edge
    beside = _differing_share(content[-2 * BLOCK_LINES - apart : len(content) - apart])
    levels = tuple(int(level) for level in colour)
    return Band(
        count, levels, count / len(lines), name_of(colour), *best, beside, shaded_share(content), _flat_share(content)
    )


def blurred_bar(lines: Lines) -> Band | None:
    """A thin bar at the end that losses have blurred all over, if it lies hard against the content."""
    band = band_at_end(lines, BLURRED)
    return band if band is not None and band.is_cut else None


def name_of(colour: NDArray[np.int16]) -> str:
    """A colour's name: black, white, grey, transparent, or its levels."""
    levels = [int(level) for level in colour]
    if len(levels) == 4:
        if levels[3] == 0:
            return "transparent"
        levels = levels[:3]
    if max(levels) <= NAMED:
        return "black"
    if min(levels) >= 255 - NAMED:
        return "white"
    if all(abs(level - 128) <= NAMED for level in levels):
        return "grey"
    return "(" + ", ".join(str(level) for level in levels) + ")"


def _is_hard(ratio: float, levels: float) -> bool:
    return ratio >= HARD_RATIO and levels >= HARD_LEVELS


def _border(content: Lines, colour: NDArray[np.int16], near: int, window: int) -> tuple[float, float, float]:
    """How the content meets the band: full_width_share, hard_ratio, hard_levels. `near`: still the band's colour."""
    name = name_of(colour)
    over = STEP_LINES_FILL if name in FILLS else 1
    clear = CLEAR_LEVELS_GREY if name == "grey" else CLEAR_LEVELS  # black ends little by little in many a dark picture
    far = greatest(np.abs(content[-window - DEPTH - 1 :] - colour))[::-1]
    beyond = far > near
    reached = beyond[:window].any(axis=0)
    share = float(reached.mean())
    if not reached.any():
        return share, 0.0, 0.0
    samples = np.flatnonzero(reached)
    first = beyond[:, samples].argmax(axis=0)
    behind = np.minimum(first + DEPTH, len(far) - 1)
    beside, deep = far[first, samples], far[behind, samples]
    levels, behind_levels = float(np.median(beside)), float(np.median(deep))
    ratio = levels / max(behind_levels, 1.0)
    if behind_levels >= clear and len(far) > over:  # losses blur the edge, but leave one step in it that no lens leaves
        near_by = far[: window + over, samples].astype(np.int16)
        step = float(np.median((near_by[over:] - near_by[:-over]).max(axis=0)))
        if step / behind_levels >= HARD_RATIO:
            return share, step / behind_levels, step
    return share, ratio if levels >= BEYOND * near else 0.0, levels


def _differing_share(content: Lines) -> float:
    """Of the samples, those that differ from a neighbour along or across the lines."""
    if min(content.shape[:2]) < 2:
        return 0.0
    along = greatest(content[1:, 1:] != content[1:, :-1])
    across = greatest(content[1:, 1:] != content[:-1, 1:])
    return float((along | across).mean())


def shaded_share(content: Lines) -> float:
    """Of the samples, those whose colour (of 32 levels a channel) few others have."""
    codes = np.zeros(content.shape[:2], dtype=np.int32)
    for channel in range(content.shape[2]):
        codes = codes << 5 | content[..., channel] >> 3
    _, counts = np.unique(codes, return_counts=True)
    shares = counts / codes.size
    return float(shares[shares <= COMMON_SHARE].sum())


def _flat_share(content: Lines) -> float:
    """How far the two highest peaks of the first channel's histogram stand out of their neighbours, of all samples."""
    counts = np.pad(np.bincount(content[..., 0].ravel(), minlength=256), 1)
    peaks = np.sort(counts[1:-1] - np.maximum(counts[:-2], counts[2:]))
    return float(peaks[-2:].sum() / counts.sum())


def _trailing(flags: NDArray[np.bool_]) -> int:
    backwards = flags[::-1]
    return len(flags) if backwards.all() else int(backwards.argmin())
