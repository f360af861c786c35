"""A picture, decoded once and sampled for all checks. Needs Pillow and numpy.

Pictures of more than LINE_SAMPLES pixels a side are not held as arrays: every row is there, with at most that many of
its pixels at equal distances, and every column likewise.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seatrial.prove.limits import IMAGE_FRAMES_MAX, IMAGE_LINE_SAMPLES_MAX, IMAGE_STRIP_PIXELS_MAX
from seatrial.prove.validate.check import NotApplicable, Subject, Unfit

Lines = NDArray[np.uint8]  # (lines, samples of each, channels)

# Pillow's own names. Only these are tried: some of its other readers start programs or read other files.
FORMATS = {
    "PNG": "png",
    "JPEG": "jpeg",
    "MPO": "jpeg",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tiff",
    "AVIF": "avif",
}
UNKNOWN = "its header is that of no known format, or of a variant that Pillow does not read"
_READERS = [name for name in FORMATS if name != "MPO"]  # several JPEGs in one; opened as JPEG
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself, before anything is decoded."""

    format: str
    width: int
    height: int
    mode: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Samples of the first frame: 1 channel (grey), 3 (RGB) or 4 (RGB and opacity), 0 to 255.

    Where opacity is 0 the colours are 0 too. Pictures of more than 8 bits are stretched from their own least to their
    own greatest value. `middle` is a part at full resolution.
    """

    rows: Lines
    columns: Lines
    middle: Lines
    finite: bool


def read_header(subject: Subject) -> Header:
    """Format, size and mode.

    Raises:
        Unfit: no picture of a known format.
    """
    with subject.content.opened() as stream, _opened(stream) as image:
        return Header(FORMATS[str(image.format)], image.width, image.height, image.mode)


def read_picture(subject: Subject) -> Picture:
    """Decode every frame, and sample the first.

    Raises:
        Unfit: it cannot be decoded, or has too many pixels.
    """
    limit = subject.profile.image.pixels_max
    with subject.content.opened() as stream, _opened(stream) as image:
        if image.width * image.height > limit:
            raise Unfit(f"Image too large to decode ({image.width}x{image.height}, limit: {limit:,} pixels)")
        try:
            image.load()
            picture = _sampled(image)
            _decode_other_frames(image)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - Pillow's readers raise whatever a broken file makes them raise
            raise Unfit(f"Image cannot be decoded: {str(error) or type(error).__name__}") from None
    return picture


def blank_pixels(lines: Lines, level_max: int) -> NDArray[np.bool_]:
    """(lines, samples): no channel above the level, or transparent."""
    if lines.shape[2] == 4:
        dark = greatest(lines[..., :3]) <= level_max
        return np.asarray((dark & (lines[..., 3] == 255)) | (lines[..., 3] == 0))
    return np.asarray(greatest(lines) <= level_max)


def luminance(lines: Lines) -> NDArray[np.float32]:
    """(lines, samples): the mean of the channels that are not opacity, 0 to 255."""
    colours = channels(lines)[:3]
    total = colours[0].astype(np.float32)
    for one in colours[1:]:
        total += one
    return total / np.float32(len(colours))


def channels(values: NDArray[Any]) -> list[NDArray[Any]]:
    """(lines, samples) of each channel. Working on these is ten times as fast as along the short last axis."""
    return [values[..., number] for number in range(values.shape[2])]


def greatest(values: NDArray[Any]) -> NDArray[Any]:
    """(lines, samples): the greatest of the channels."""
    return reduce(np.maximum, channels(values))


def small(picture: Picture, side_min: int) -> None:
    """Leave pictures alone that have too few pixels for statistics.

    Raises:
        NotApplicable: a side is shorter than `side_min`.
    """
    if min(len(picture.rows), len(picture.columns)) < side_min:
        raise NotApplicable(f"the picture is smaller than {side_min} pixels")


def _opened(stream: Any) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `image.dimensions` holds the number of pixels against the profile
        try:
            return Image.open(stream, formats=_READERS)
        except Exception as error:  # noqa: BLE001 - as above
            text = str(error)
            why = UNKNOWN if "cannot identify image file" in text else text
            raise Unfit(f"Image cannot be read: {why or type(error).__name__}") from None


def _decode_other_frames(image: Image.Image) -> None:
    for number in range(1, min(getattr(image, "n_frames", 1), IMAGE_FRAMES_MAX)):
        image.seek(number)
        image.load()


def _sampled(image: Image.Image) -> Picture:
    plain, finite = _plain(image)
    width, height = plain.size
    across, down = -(-width // IMAGE_LINE_SAMPLES_MAX), -(-height // IMAGE_LINE_SAMPLES_MAX)
    strip = max(1, IMAGE_STRIP_PIXELS_MAX // width)
    rows, columns = [], []
    for top in range(0, height, strip):
        pixels = _array(plain.crop((0, top, width, min(height, top + strip))))
        rows.append(pixels[:, ::across])
        columns.append(pixels[-top % down :: down])
    left, top = max(0, (width - IMAGE_LINE_SAMPLES_MAX) // 2), max(0, (height - IMAGE_LINE_SAMPLES_MAX) // 2)
    middle = plain.crop(
        (left, top, min(width, left + IMAGE_LINE_SAMPLES_MAX), min(height, top + IMAGE_LINE_SAMPLES_MAX))
    )
    by_column = np.ascontiguousarray(np.concatenate(columns).transpose(1, 0, 2))
    return Picture(np.concatenate(rows), by_column, _array(middle), finite)


def _plain(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture in mode L, RGB or RGBA, and whether all its values are finite."""
    if image.mode in _DEEP_MODES:
        values = np.asarray(image, dtype=np.float32)
        finite = bool(np.isfinite(values).all())
        low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if finite else (0.0, 0.0)
        scale = 255.0 / (high - low) if high > low else 0.0
        return Image.fromarray(
            ((values - low) * scale).astype(np.uint8) if finite else np.zeros(values.shape, np.uint8)
        ), finite
    if image.mode in ("L", "RGB", "RGBA"):
        return image, True
    if image.mode == "1":
        return image.convert("L"), True
    transparent = image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB"), True


def _array(image: Image.Image) -> Lines:
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        return pixels[..., None]
    if pixels.shape[2] == 4:
        pixels = pixels.copy()
        pixels[pixels[..., 3] == 0] = 0
    return pixels
