"""The pictures of a training, out of the zip that a client sent."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from studio.errors import BadRequest

PICTURES_MAX = 100
MEMBERS_MAX = 1_000  # looked at, folders and notes among them
PICTURE_BYTES_MAX = 25_000_000  # unpacked
PIXELS_MAX = 25_000_000
SIDE_MAX = 1_024  # larger ones are made smaller: no backend trains on more
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
VALID = f"a zip with 1 to {PICTURES_MAX} PNG, JPEG or WebP pictures, each of at most {PIXELS_MAX:,} pixels"
FORMATS = ("PNG", "JPEG", "WEBP")


def read_pictures(path: Path) -> list[Image.Image]:
    """All of them, upright and in RGB, in the order of their names. Nothing is unpacked to the disk.

    Raises:
        BadRequest: `pictures_unreadable`, `pictures_missing`, `too_many_pictures`, `picture_too_large`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [_picture(archive, one) for one in _members(archive)]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _bad("pictures_unreadable", f"The pictures are no whole zip archive: {error}.") from None


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    if len(archive.infolist()) > MEMBERS_MAX:
        raise _bad("too_many_pictures", f"The archive has {len(archive.infolist()):,} members.")
    found = [one for one in archive.infolist() if one.filename.lower().endswith(ENDINGS) and not _is_hidden(one)]
    if not found:
        raise _bad("pictures_missing", "There is no picture in the archive.")
    if len(found) > PICTURES_MAX:
        raise _bad("too_many_pictures", f"The archive has {len(found)} pictures.")
    return sorted(found, key=lambda one: one.filename)


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    """What a Mac puts beside the files."""
    return any(part.startswith((".", "__MACOSX")) for part in member.filename.split("/"))


def _picture(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Image.Image:
    name = member.filename[:100]
    if member.file_size > PICTURE_BYTES_MAX:
        raise _bad("picture_too_large", f"{name!r} has {member.file_size:,} bytes, more than {PICTURE_BYTES_MAX:,}.")
    try:
        with archive.open(member) as file, Image.open(file, formats=FORMATS) as opened:
            if opened.width * opened.height > PIXELS_MAX:
                raise _bad("picture_too_large", f"{name!r} has {opened.width} x {opened.height} pixels.")
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, BadRequest):
            raise
        raise _bad("pictures_unreadable", f"{name!r} is no whole picture: {error}.") from None
    picture.thumbnail((SIDE_MAX, SIDE_MAX))
    return picture


def _bad(error_type: str, message: str) -> BadRequest:
    return BadRequest(error_type, message, "pictures", VALID)
