"""What a film's headers say."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.prove.validate.check import Subject, Unfit
from seatrial.prove.validate.containers.boxes import read_movie
from seatrial.prove.validate.containers.damage import Damaged
from seatrial.prove.validate.containers.ebml import read_matroska


@dataclass(frozen=True, slots=True)
class Film:
    """One film. 0 stands for what its headers do not tell."""

    format: str
    width: int
    height: int
    seconds: float


def read_film(subject: Subject) -> Film:
    """Headers, with all lengths held against the file's.

    Raises:
        Unfit: of no known format, or damaged.
    """
    beginning = subject.content.beginning()
    form = "mp4" if beginning[4:8] == b"ftyp" else "webm" if beginning[:4] == b"\x1a\x45\xdf\xa3" else None
    if form is None:
        raise Unfit(f"Video is of no known format: it begins with {beginning[:8].hex(' ') or 'nothing'}")
    try:
        with subject.content.opened() as stream:
            read = read_movie if form == "mp4" else read_matroska
            told = read(stream, subject.content.size_bytes)
    except Damaged as damage:
        raise Unfit(f"{form.upper()} is damaged: {damage.message}", **damage.measured) from None
    return Film(form, told.width, told.height, told.seconds)
