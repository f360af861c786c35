"""`image.inner_band`: no band inside the picture is constant from side to side, as lost strips or tiles leave."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.bands import EXACT, Band, band_at_end, constant_lines
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
        if above.is_cut and below.is_cut and above.cuts_content and below.cuts_content:
            found.append((start, stop, above))
    return found


def _runs(lines: Lines) -> list[tuple[int, int]]:
    """Where lines of one and the same colour follow each other, without those at the edges."""
    flat: NDArray[np.bool_] = constant_lines(lines)
    middle = lines[:, lines.shape[1] // 2].astype(np.int16)
    same = (np.abs(np.diff(middle, axis=0)) <= EXACT).all(axis=1)
    breaks = np.flatnonzero(~(flat[1:] & flat[:-1] & same)) + 1
    bounds = [0, *breaks.tolist(), len(lines)]
    return [(start, stop) for start, stop in pairwise(bounds) if flat[start] and start > 0 and stop < len(lines)]


CHECK = Check(
    "image.inner_band",
    _run,
    "a strip or a tile was never written: synchronise the device and wait for every tile before saving",
    needs=DECODED,
)
