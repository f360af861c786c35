"""`video.whole`: sane headers, and all media that they name within the file (MP4, MOV, WebM, Matroska)."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject
from seatrial.prove.validate.video.film import read_film


def _run(subject: Subject) -> Passed:
    film = subject.once(read_film)
    measured = {"format": film.format, "width": film.width, "height": film.height, "seconds": round(film.seconds, 3)}
    return Passed(f"{film.format.upper()}, {film.width}x{film.height}, {film.seconds:.2f} s", measured)


CHECK = Check(
    "video.whole",
    _run,
    "close the encoder before the file is read, so that it writes its index; copy it after that",
    needs=("file.exists", "file.size"),
)
