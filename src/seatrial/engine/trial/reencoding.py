"""A sample's picture in the other formats, modes, orientations and sizes that its field's contract declares.

What is not declared is not made: a field without `formats` takes any, and promises nothing about each. Needs Pillow.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.domain.contract import Field
from seatrial.domain.limits import TRIAL_PICTURE_PIXELS_MAX
from seatrial.engine.images import HAS_PILLOW, PILLOW_NAMES, formats_of, mode_of

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112  # the tag of EXIF 2.3, 4.6.4
TURNED_RIGHT = 6  # to be shown right, it is turned by 90 degrees, clockwise
CARRIES: Mapping[str, tuple[str, ...]] = {  # the modes that each format keeps, as Pillow writes and reads it
    "png": ("rgb", "rgba", "grey", "grey16", "grey_alpha", "palette"),
    "jpeg": ("rgb", "grey", "cmyk"),
    "webp": ("rgb", "rgba"),
    "tiff": ("rgb", "rgba", "grey", "grey16", "grey_alpha", "palette", "cmyk"),
    "bmp": ("rgb", "grey", "palette"),
    "avif": ("rgb", "rgba"),
    "gif": ("palette",),
}
WITH_EXIF = ("jpeg", "png", "webp", "tiff", "avif")
QUICK_TO_WRITE = ("jpeg", "bmp", "png", "webp", "tiff", "avif")  # of the largest size
SIDE_MAX = {"jpeg": 65_535, "webp": 16_383, "avif": 65_535, "gif": 65_535}
PILLOW_MODES = {"grey": "L", "grey_alpha": "LA", "rgb": "RGB", "rgba": "RGBA", "palette": "P", "cmyk": "CMYK"}
SAVED_AS: Mapping[str, Mapping[str, Any]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 95},
    "webp": {"lossless": True, "method": 0},
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One picture to be made. `narrow` is how a contract refuses such ones; `ratio` is that of its pixels.

    `unheeded` makes the same pixels without what the handler has to heed: an equal answer shows that it did not.
    """

    words: str
    narrow: str
    ratio: float
    file_name: str
    make: Callable[[], bytes]
    unheeded: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True)
class NotMade:
    """A declared form that cannot be made here."""

    words: str
    why: str


@dataclass(frozen=True, slots=True)
class _Original:
    content: bytes
    format: str
    mode: str
    width: int
    height: int


def variants(field: Field, content: bytes) -> Iterator[Variant | NotMade]:
    """What the field declares beside the sample itself. Blocking; each `make` as well."""
    if not HAS_PILLOW or not _declares(field):
        return
    original = _look(content)
    if original is None:
        yield NotMade("other pictures", "the sample's own cannot be decoded here")
        return
    for name in field.formats and formats_of(field):
        if name != original.format:
            yield _in_format(field, original, name)
    for mode in field.modes:
        if mode != original.mode:
            yield _in_mode(field, original, mode)
    if field.exif_rotated:
        yield _rotated(field, original)
    if 1 < field.pixels_min < original.width * original.height:
        yield _resized(field, original, "the smallest size", field.pixels_min, "pixels_min higher")
    if field.pixels_max_declared and original.width * original.height < field.pixels_max:
        yield _resized(field, original, "the largest size", field.pixels_max, "pixels_max lower")


def _declares(field: Field) -> bool:
    says_size = field.pixels_min > 1 or field.pixels_max_declared
    return bool(field.formats or field.modes or field.exif_rotated or says_size)


def _look(content: bytes) -> _Original | None:
    from PIL import Image  # noqa: PLC0415 - an extra

    try:
        with Image.open(io.BytesIO(content), formats=list(PILLOW_NAMES.values())) as image:
            ours = next(one for one, theirs in PILLOW_NAMES.items() if theirs == image.format)
            return _Original(content, ours, mode_of(image.mode), *image.size)
    except Exception:  # noqa: BLE001 - Pillow's readers raise whatever a file makes them raise
        return None


# ---------------------------------------------------------------------- kinds of variants


def _in_format(field: Field, original: _Original, name: str) -> Variant | NotMade:
    words = f"as {name.upper()}"
    if name not in CARRIES or not _writes(name):
        return NotMade(words, "nothing here writes that format")
    accepted = field.modes or tuple(PILLOW_MODES)
    mode = next((one for one in (original.mode, *CARRIES[name]) if one in CARRIES[name] and one in accepted), None)
    if mode is None:
        return NotMade(words, f"it has none of the modes {', '.join(accepted)}")
    narrow = f"leave {name!r} out of `formats`"
    return Variant(words, narrow, 1.0, f"variant.{name}", lambda: _encoded(original, name, mode))


def _in_mode(field: Field, original: _Original, mode: str) -> Variant | NotMade:
    words = f"as {mode}"
    name = _format_for(field, original, mode, (original.format, *CARRIES))
    if name is None:
        return NotMade(words, f"none of the formats {', '.join(formats_of(field))} has it")
    narrow = f"leave {mode!r} out of `modes`"
    return Variant(words, narrow, 1.0, f"variant.{name}", lambda: _encoded(original, name, mode))


def _rotated(field: Field, original: _Original) -> Variant | NotMade:
    words = "turned by EXIF"
    choice = [one for one in (original.format, *WITH_EXIF) if one in WITH_EXIF]
    name, mode = _carrier(field, original, choice)
    if name is None:
        return NotMade(words, f"none of the formats {', '.join(formats_of(field))} has EXIF")
    narrow = "take `exif_rotated` out"
    return Variant(
        words,
        narrow,
        1.0,
        f"variant.{name}",
        lambda: _encoded(original, name, mode, turned=True),
        lambda: _encoded(original, name, mode, turned=True, told=False),
    )


def _resized(field: Field, original: _Original, what: str, pixels: int, narrow: str) -> Variant | NotMade:
    ratio = pixels / (original.width * original.height)
    words = f"at {what}, {pixels:,} pixels"
    if pixels > TRIAL_PICTURE_PIXELS_MAX:
        return NotMade(words, f"pictures of more than {TRIAL_PICTURE_PIXELS_MAX:,} pixels are not made")
    size = _size(original, pixels, at_least=ratio < 1)
    choice = (original.format, *QUICK_TO_WRITE) if ratio < 1 else QUICK_TO_WRITE
    fitting = [one for one in choice if max(size) <= SIDE_MAX.get(one, max(size))]
    name, mode = _carrier(field, original, fitting)
    if name is None:
        return NotMade(words, f"none of the formats {', '.join(formats_of(field))} holds {size[0]} by {size[1]} pixels")
    return Variant(words, f"set {narrow}", ratio, f"variant.{name}", lambda: _encoded(original, name, mode, size))


def _size(original: _Original, pixels: int, *, at_least: bool) -> tuple[int, int]:
    """Of the sample's shape, as near to so many pixels as whole sides allow, from above or from below."""
    scale = math.sqrt(pixels / (original.width * original.height))
    if at_least:
        width = max(1, math.ceil(original.width * scale))
        return width, max(1, math.ceil(pixels / width))
    width = min(max(1, math.floor(original.width * scale)), pixels)
    return width, max(1, pixels // width)


# ---------------------------------------------------------------------- encoding


def _format_for(field: Field, original: _Original, mode: str, choice: Sequence[str]) -> str | None:
    """The first of the choice that the field takes and that has the mode."""
    taken = formats_of(field)
    return next((one for one in choice if one in taken and mode in CARRIES.get(one, ()) and _writes(one)), None)


def _carrier(field: Field, original: _Original, choice: Sequence[str]) -> tuple[str | None, str]:
    """A format and a mode that the field takes, the sample's own mode if one of them has it."""
    accepted = field.modes or tuple(PILLOW_MODES)
    for mode in (original.mode, *accepted):
        name = _format_for(field, original, mode, choice)
        if name is not None and (mode in accepted or mode == original.mode):
            return name, mode
    return None, original.mode


def _writes(name: str) -> bool:
    from PIL import features  # noqa: PLC0415 - an extra

    return name not in ("webp", "avif") or bool(features.check(name))


def _encoded(
    original: _Original,
    name: str,
    mode: str,
    size: tuple[int, int] | None = None,
    *,
    turned: bool = False,
    told: bool = True,
) -> bytes:
    """`turned`: stored on its side; `told`: with the orientation that sets it right."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - an extra

    with Image.open(io.BytesIO(original.content)) as opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
    if size is not None:
        image = _widened(image).resize(size)
    image = _converted(image, mode)
    options = dict(SAVED_AS.get(name, {}))
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_90)
    if turned and told:
        exif = Image.Exif()
        exif[ORIENTATION] = TURNED_RIGHT
        options["exif"] = exif
    file = io.BytesIO()
    image.save(file, PILLOW_NAMES[name], **options)
    return file.getvalue()


def _widened(image: Image) -> Image:
    """In a mode that can be resized smoothly."""
    return image.convert("RGBA" if "transparency" in image.info else "RGB") if image.mode in ("1", "P") else image


def _converted(image: Image, mode: str) -> Image:
    if mode_of(image.mode) == mode:
        return image
    if mode_of(image.mode) == "grey16":  # Pillow would cut off what is above 255
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if mode == "grey16":
        return image.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    if mode == "cmyk":
        return image.convert("RGB").convert("CMYK")
    if mode == "palette":
        return image.convert("RGB").quantize()
    return image.convert(PILLOW_MODES.get(mode, mode))
