"""Is this a whole picture of an allowed format and size? Needs Pillow (the extra `media`).

The header alone decides about format and pixels, before anything is decoded. PNG files are read through with their
checksums; JPEG files must reach their end marker; of the other formats the first frame is decoded.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from seatrial.domain.contract import Field
from seatrial.domain.errors import (
    IMAGE_UNDECODABLE,
    MEDIA_TOO_LARGE,
    MEDIA_TOO_SMALL,
    UNSUPPORTED_MEDIA_TYPE,
    BadInput,
    SeatrialError,
)

try:
    from PIL import Image
except ImportError:  # the extra `media` is not installed: check_image says so
    HAS_PILLOW = False
else:
    HAS_PILLOW = True
    Image.MAX_IMAGE_PIXELS = None  # a field's pixels_max takes its place, see _check_header

MEDIA_SUPPORT_MISSING = "media_support_missing"

# Pillow's own names. Only these are tried: some of its other readers start programs or read other files.
PILLOW_NAMES: Mapping[str, str] = {
    "png": "PNG",
    "jpeg": "JPEG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "avif": "AVIF",
}
# Pillow's modes in the contract's words. What is not listed is of no mode that a contract can name.
_MODES: Mapping[str, str] = {
    "1": "grey",
    "L": "grey",
    "I": "grey16",
    "I;16": "grey16",
    "I;16B": "grey16",
    "LA": "grey_alpha",
    "RGB": "rgb",
    "YCbCr": "rgb",
    "RGBA": "rgba",
    "P": "palette",
    "CMYK": "cmyk",
}
_SAME = {"jpg": "jpeg", "tif": "tiff"}
FORMATS = tuple(PILLOW_NAMES)


def check_image(field: Field, content: bytes | Path) -> str:
    """The picture's format, one of FORMATS. Blocking: run it in a thread. A field without `formats` takes them all.

    Raises:
        BadInput: unsupported_media_type (a known format or mode that the field does not take), image_undecodable,
            media_too_large and media_too_small (pixels).
        SeatrialError: media_support_missing.
    """
    if not HAS_PILLOW:
        raise SeatrialError(
            MEDIA_SUPPORT_MISSING,
            f"The image field {field.name!r} cannot be checked without Pillow: pip install 'seatrial[media]'",
            field=field.name,
        )
    with _opened(content) as file:
        found = _check_header(field, file)
        file.seek(0)
        _check_to_the_end(field, found, file)
    return found


def mode_of(mode: str) -> str:
    """Pillow's mode in the words of contracts; as it is where they have none for it."""
    return _MODES.get(mode, mode)


def formats_of(field: Field) -> tuple[str, ...]:
    """The formats that the field takes, in Seatrial's words."""
    return tuple(_SAME.get(one.lower(), one.lower()) for one in field.formats) or FORMATS


def _check_header(field: Field, file: BinaryIO) -> str:
    """The format, in Seatrial's words."""
    try:
        with Image.open(file, formats=list(PILLOW_NAMES.values())) as image:
            name, mode, (width, height) = image.format, mode_of(image.mode), image.size
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise whatever a broken file makes them raise
        raise _undecodable(field, _words(error)) from None
    found = next((ours for ours, theirs in PILLOW_NAMES.items() if theirs == name), str(name).lower())
    if found not in formats_of(field):
        taken = ", ".join(formats_of(field))
        message = f"{field.name!r} is a {found.upper()}; accepted: {taken}"
        raise BadInput(UNSUPPORTED_MEDIA_TYPE, message, field=field.name, valid=taken)
    _check_pixels(field, width, height)
    if field.modes and mode not in field.modes:
        taken = ", ".join(field.modes)
        message = f"{field.name!r} is a picture of the mode {mode}; accepted: {taken}"
        raise BadInput(UNSUPPORTED_MEDIA_TYPE, message, field=field.name, valid=taken)
    return found


def _check_pixels(field: Field, width: int, height: int) -> None:
    pixels = width * height
    found = f"{field.name!r} is a picture of {width:,} by {height:,} = {pixels:,} pixels"
    if pixels > field.pixels_max:
        message = f"{found}, more than the {field.pixels_max:,} that are allowed."
        raise BadInput(MEDIA_TOO_LARGE, message, field=field.name, valid=f"at most {field.pixels_max:,} pixels")
    if pixels < field.pixels_min:
        message = f"{found}, fewer than the {field.pixels_min:,} that are needed."
        raise BadInput(MEDIA_TOO_SMALL, message, field=field.name, valid=f"at least {field.pixels_min:,} pixels")


def _check_to_the_end(field: Field, found: str, file: BinaryIO) -> None:
    try:
        if found == "jpeg":
            whole = _jpeg_is_whole(file)
        else:
            with Image.open(file, formats=[PILLOW_NAMES[found]]) as image:
                whole = True
                if found == "png":
                    image.verify()
                else:
                    image.load()
    except Exception as error:  # noqa: BLE001 - as above
        raise _undecodable(field, _words(error)) from None
    if not whole:
        raise _undecodable(field, "the file ends before the picture does")


def _jpeg_is_whole(file: BinaryIO) -> bool:
    """True when an end marker follows the first scan (ITU-T T.81, B.1): one inside a thumbnail does not count."""
    data = _all_of(file)
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xDA:  # start of scan; in what follows 0xFF is stuffed, so a marker is a marker
            return data.find(b"\xff\xd9", at) >= 0
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _all_of(file: BinaryIO) -> bytes | mmap.mmap:
    if isinstance(file, io.BytesIO):
        return file.getvalue()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def _opened(content: bytes | Path) -> Iterator[BinaryIO]:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        yield file


def _undecodable(field: Field, why: str) -> BadInput:
    valid = "a whole " + ", ".join(one.upper() for one in formats_of(field)) + " file"
    message = f"{field.name!r} is not a readable picture: {why}"
    return BadInput(IMAGE_UNDECODABLE, message, field=field.name, valid=valid)


def _words(error: Exception) -> str:
    text = str(error)
    return "it is of no known format" if "cannot identify image file" in text else text or type(error).__name__
