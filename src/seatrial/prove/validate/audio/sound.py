"""What a sound file's headers say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.validate.check import Subject, Unfit
from seatrial.prove.validate.containers.boxes import read_movie
from seatrial.prove.validate.containers.damage import Damaged
from seatrial.prove.validate.containers.flac import read_flac
from seatrial.prove.validate.containers.mpeg import read_mpeg
from seatrial.prove.validate.containers.ogg import read_ogg
from seatrial.prove.validate.containers.riff import read_wave


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound file. 0 stands for what its headers do not tell."""

    format: str
    sample_rate: int  # Hz
    channels: int
    seconds: float


def read_sound(subject: Subject) -> Sound:
    """Headers, with all lengths held against the file's.

    Raises:
        Unfit: of no known format, or damaged.
    """
    beginning = subject.content.beginning()
    form = _format(beginning)
    if form is None:
        raise Unfit(f"Audio is of no known format: it begins with {beginning[:8].hex(' ') or 'nothing'}")
    try:
        with subject.content.opened() as stream:
            return _read(form, stream, subject.content.size_bytes)
    except Damaged as damage:
        raise Unfit(f"{form.upper()} is damaged: {damage.message}", **damage.measured) from None


def _format(beginning: bytes) -> str | None:
    if beginning[:4] in (b"RIFF", b"RF64"):
        return "wav"
    if beginning[:4] == b"fLaC":
        return "flac"
    if beginning[:4] == b"OggS":
        return "ogg"
    if beginning[4:8] == b"ftyp":
        return "m4a"
    if beginning[:3] == b"ID3" or (beginning[:1] == b"\xff" and beginning[1:2] > b"\xdf"):
        return "mp3"
    return None


def _read(form: str, stream: BinaryIO, size_bytes: int) -> Sound:
    if form == "wav":
        wave = read_wave(stream, size_bytes)
        return Sound(form, wave.sample_rate, wave.channels, wave.seconds)
    if form == "flac":
        flac = read_flac(stream, size_bytes)
        return Sound(form, flac.sample_rate, flac.channels, flac.seconds)
    if form == "ogg":
        ogg = read_ogg(stream, size_bytes)
        return Sound(form, ogg.sample_rate, ogg.channels, ogg.seconds)
    if form == "m4a":
        movie = read_movie(stream, size_bytes)
        return Sound(form, movie.sample_rate, 0, movie.seconds)
    mpeg = read_mpeg(stream, size_bytes)
    return Sound(form, mpeg.sample_rate, mpeg.channels, mpeg.seconds)
