"""`image.whole`: the file's own structure says that nothing is missing or changed.

PNG by its chunks and their checksums; JPEG by decoding it with warnings taken for errors, since libjpeg fills what is
missing with grey and says nothing; WebP, GIF, BMP and AVIF by their lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO

import simplejpeg

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.containers.boxes import check_boxes
from seatrial.prove.validate.containers.damage import Damaged, take
from seatrial.prove.validate.containers.gif import check_gif
from seatrial.prove.validate.containers.png import check_png
from seatrial.prove.validate.containers.riff import riff_chunks
from seatrial.prove.validate.image.picture import read_header

# What libjpeg says of files whose picture is all there.
_HARMLESS = ("extraneous bytes before marker",)


def _run(subject: Subject) -> Passed:
    form = subject.once(read_header).format
    if form == "jpeg":
        return _jpeg(subject)
    if form not in _READERS:
        raise NotApplicable(f"{form.upper()} says nothing of its own length")
    try:
        with subject.content.opened() as stream:
            _READERS[form](stream, subject.content.size_bytes)
    except Damaged as damage:
        raise Unfit(f"{form.upper()} is damaged: {damage.message}", **damage.measured) from None
    return Passed(f"the {form.upper()}'s structure is whole")


def _jpeg(subject: Subject) -> Passed:
    """Decoded at an eighth of its size: every coded bit is read, the pixels are not needed."""
    data = subject.content.whole()
    try:
        simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        if not any(one in str(error) for one in _HARMLESS):
            raise Unfit(f"JPEG is damaged: {error}") from None
        return Passed(f"decodes, but: {error}", doubt=True, remedy="write the file again from the picture")
    return Passed("the JPEG's coded data is whole")


def _webp(stream: BinaryIO, size_bytes: int) -> None:
    chunks = riff_chunks(stream, size_bytes, b"WEBP")
    if not any(one.name in (b"VP8 ", b"VP8L", b"ANMF") for one in chunks):
        raise Damaged("there is no VP8, VP8L or ANMF chunk: the file holds no picture")


def _bmp(stream: BinaryIO, size_bytes: int) -> None:
    told = int.from_bytes(take(stream, 6, "the header")[2:], "little")
    if told > size_bytes:
        raise Damaged(f"the header says {told:,} bytes, the file has {size_bytes:,}", missing_bytes=told - size_bytes)


_READERS: Mapping[str, Callable[[BinaryIO, int], None]] = {
    "png": check_png,
    "webp": _webp,
    "gif": check_gif,
    "bmp": _bmp,
    "avif": check_boxes,
}

CHECK = Check(
    "image.whole",
    _run,
    "write to a temporary file, flush it, and rename it when it is complete; copy it only after that",
    needs=("file.exists", "file.size", "image.header", "image.pixels"),
)
