"""`image.inner_band`: no band inside the picture is constant from side to side, as lost strips or tiles leave."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.bands import (
    BLOCK_LINES,
    EXACT,
    NAMED,
    SHADED_SHARE,
    Band,
    band_at_end,
    constant_lines,
    shaded_share,
)
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.edge_band import SIDE_MIN, read_inside
from seatrial.prove.validate.image.picture import Lines, read_picture, small

GUTTER_RATIO = 1.6  # how much thicker than `band_share_min` it must be: pictures side by side have gutters


def _run(subject: Subject) -> Passed:
    least = subject.profile.image.band_share_min
    if least is None:
        raise NotApplicable("the profile allows constant bands")
    small(subject.once(read_picture), SIDE_MIN)
    inside = subject.once(read_inside)
    both = {
        name: (lines, _lost_bands(lines, least * GUTTER_RATIO, inside.ground))
        for name, lines in (("rows", inside.rows), ("columns", inside.columns))
    }
    if all(found for _, found in both.values()):
        return Passed("bands cross each other, as between pictures on a sheet")
    for name, (lines, found) in both.items():
        across = inside.columns if name == "rows" else inside.rows
        if found and _is_gutter(lines, found[0][0], across):
            return Passed("a band is crossed by another of its colour, as between pictures on a sheet")
        if found:
            share = sum(stop - start for start, stop, _ in found) / len(lines)
            start, stop, band = found[0]
            raise Unfit(
                f"Partial render detected: {share:.1%} of the {name} are constant ({band.colour}) in the midst of the "
                f"picture, first {name} {start} to {stop - 1} of {len(lines)}",
                band_share=round(share, 4),
                bands=len(found),
                colour=band.colour,
            )
    return Passed("no band inside the picture is constant")


def _lost_bands(lines: Lines, share_min: float, ground: str) -> list[tuple[int, int, Band]]:
    """Bands (first line, line after the last) of a decoder's fill that lie hard against texture on both sides."""
    found = []
    for start, stop in _runs(lines):
        if stop - start < share_min * len(lines):
            continue
        above, below = band_at_end(lines[:stop]), band_at_end(lines[start:][::-1])
        if above is None or below is None or not above.is_fill or above.colour == ground:
            continue
        if (
            above.is_cut
            and below.is_cut
            and ((above.cuts_content and below.cuts_content) or _is_lost_in_flat(lines, start, stop, above))
        ):
            found.append((start, stop, above))
    return found


def _is_lost_in_flat(lines: Lines, start: int, stop: int, band: Band) -> bool:
    """Whether a band of just a decoder's grey parts what is one flat area of a picture that has shades elsewhere."""
    if band.colour != "grey" or min(start, len(lines) - stop) < 2 * BLOCK_LINES:
        return False
    above, below = lines[start - 2 * BLOCK_LINES : start - BLOCK_LINES], lines[stop + BLOCK_LINES :][:BLOCK_LINES]
    apart = np.abs(np.median(above, axis=(0, 1)) - np.median(below, axis=(0, 1))).max()
    return bool(apart <= NAMED) and shaded_share(lines) >= SHADED_SHARE


def _is_gutter(lines: Lines, at: int, across: Lines) -> bool:
    """Whether lines across the band at `at`, however thin, have its colour from end to end: no lost strip has those."""
    colour = _middle(lines)[at]
    return any((np.abs(_middle(across)[start] - colour) <= EXACT).all() for start, _ in _runs(across))


def _middle(lines: Lines) -> NDArray[np.int16]:
    """Of each line one pixel, which is all of a constant one."""
    return lines[:, lines.shape[1] // 2].astype(np.int16)


def _runs(lines: Lines) -> list[tuple[int, int]]:
    """Where lines of one and the same colour follow each other, without those at the edges."""
    flat: NDArray[np.bool_] = constant_lines(lines)
    same = (np.abs(np.diff(_middle(lines), axis=0)) <= EXACT).all(axis=1)
    breaks = np.flatnonzero(~(flat[1:] & flat[:-1] & same)) + 1
    bounds = [0, *breaks.tolist(), len(lines)]
    return [(start, stop) for start, stop in pairwise(bounds) if flat[start] and start > 0 and stop < len(lines)]


CHECK = Check(
    "image.inner_band",
    _run,
    "a strip or a tile was never written: synchronise the device and wait for every tile before saving",
    needs=DECODED,
)
