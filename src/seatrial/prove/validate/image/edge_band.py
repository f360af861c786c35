"""`image.edge_band`: no edge has a constant band that lies hard against the picture, as a stopped renderer leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.image.bands import LETTERBOX_RATIO, LETTERBOX_SHARE, Band, band_at_end, blurred_bar
from seatrial.prove.validate.image.decodes import DECODED
from seatrial.prove.validate.image.picture import Lines, read_picture, small

SIDE_MIN = 32
_OPPOSITE = {"bottom": "top", "top": "bottom", "left": "right", "right": "left"}
FRAME_EDGES = 3


@dataclass(frozen=True, slots=True)
class Inside:
    """A picture without its letterbox, frame or margins, and the constant bands at its edges."""

    rows: Lines
    columns: Lines
    bands: Mapping[str, Band]
    ground: str = ""  # the colour of margins all round, on which things may lie apart


def read_inside(subject: Subject) -> Inside:
    """The picture inside its bars."""
    picture = subject.once(read_picture)
    bands = _bands(picture.rows, picture.columns)
    bars = {edge: band.lines for edge, band in bands.items() if framed(bands, edge)}
    if not bars:
        return Inside(picture.rows, picture.columns, bands)
    alike = max(bands.values(), key=lambda band: _alike(bands, band))
    ground = alike.colour if _alike(bands, alike) >= FRAME_EDGES else ""
    rows, columns = len(picture.rows), len(picture.columns)
    down = slice(bars.get("top", 0), rows - bars.get("bottom", 0))
    across = slice(bars.get("left", 0), columns - bars.get("right", 0))
    if min(down.stop - down.start, across.stop - across.start) < SIDE_MIN:
        return Inside(picture.rows, picture.columns, {}, ground)
    inner_rows = picture.rows[down, _samples(across, columns, picture.rows.shape[1])]
    inner_columns = picture.columns[across, _samples(down, rows, picture.columns.shape[1])]
    inner = _bands(inner_rows, inner_columns)
    rest = {edge: band for edge, band in inner.items() if edge not in bars or not band.is_like(bands[edge])}
    return Inside(inner_rows, inner_columns, rest, ground)


def framed(bands: Mapping[str, Band], edge: str) -> bool:
    """Whether the edge's band is one of a letterbox, a frame or a margin all round."""
    band, opposite = bands[edge], bands.get(_OPPOSITE[edge])
    if opposite is None or not band.is_like(opposite):
        return False
    return _alike(bands, band) >= FRAME_EDGES or band.share <= LETTERBOX_RATIO * opposite.share + LETTERBOX_SHARE


def _alike(bands: Mapping[str, Band], band: Band) -> int:
    """At how many edges there is a band of its colour."""
    return sum(one.is_like(band) for one in bands.values())


def _bands(rows: Lines, columns: Lines) -> dict[str, Band]:
    edges = {"bottom": rows, "top": rows[::-1], "right": columns, "left": columns[::-1]}
    found = {edge: band_at_end(lines) for edge, lines in edges.items()}
    for edge, opposite in _OPPOSITE.items():
        if found[edge] is None and found[opposite] is not None:
            found[edge] = blurred_bar(edges[edge])
    return {edge: band for edge, band in found.items() if band is not None}


def _samples(lines: slice, count: int, samples: int) -> slice:
    """Of lines that are sampled across, the samples that lie in these lines."""
    return slice(-(-lines.start * samples // count), max(1, lines.stop * samples // count))


def _run(subject: Subject) -> Passed:
    least = subject.profile.image.band_share_min
    if least is None:
        raise NotApplicable("the profile allows constant bands")
    small(subject.once(read_picture), SIDE_MIN)
    bands = subject.once(read_inside).bands
    cut = {
        edge: band for edge, band in bands.items() if band.share >= least and band.is_cut and not framed(bands, edge)
    }
    for edge, band in cut.items():
        measured = {"edge": edge, "band_share": round(band.share, 4), "colour": band.colour}
        lines = "rows" if edge in ("top", "bottom") else "columns"
        told = f"{band.share:.1%} of the {lines}, at the {edge}, are constant ({band.colour}) behind a hard edge"
        if band.cuts_content:
            raise Unfit(f"Partial render detected: {told}", **measured)
        if band.is_fill:
            return Passed(f"{told}; since the rest is flat too, it may be drawn so", measured, doubt=True)
    return Passed("no edge has a constant band that cuts the picture")


CHECK = Check(
    "image.edge_band",
    _run,
    "the picture was saved before it was complete: synchronise the device, then write to a temporary file and rename "
    "it; for pictures that are meant to have such a band, set band_share_min",
    needs=DECODED,
)
