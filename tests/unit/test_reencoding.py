"""A sample's picture in the forms that a contract declares: each is what it is called, and the field takes it."""

import io
from typing import Any

import pytest
from PIL import Image

from seatrial.domain.contract import IMAGE_MODES, Field, FieldType
from seatrial.domain.limits import IMAGE_PIXELS_MAX_DEFAULT, TRIAL_PICTURE_PIXELS_MAX
from seatrial.engine.images import check_image, mode_of
from seatrial.engine.trial.reencoding import ORIENTATION, NotMade, Variant, variants
from seatrial.package.fields import IMAGE_FORMATS

FORMATS = tuple(one for one in IMAGE_FORMATS if one != "heic")


def picture(mode: str = "RGB", size: tuple[int, int] = (60, 40), name: str = "PNG", **more: Any) -> bytes:
    image = Image.linear_gradient("L").resize(size)
    image = image.convert("I").point(lambda value: value * 257).convert("I;16") if mode == "I;16" else image
    image = image if image.mode == mode else image.convert("RGB").convert(mode)
    file = io.BytesIO()
    image.save(file, name, **more)
    return file.getvalue()


def field(**more: Any) -> Field:
    return Field("photo", FieldType.IMAGE, **more)


def made(declared: Field, content: bytes) -> dict[str, tuple[Image.Image, bytes]]:
    """Every variant by its words, decoded; the field takes each."""
    found = {}
    for one in variants(declared, content):
        assert isinstance(one, Variant), one
        data = one.make()
        check_image(declared, data)
        image = Image.open(io.BytesIO(data))
        image.load()
        found[one.words] = image, data
    return found


def test_what_is_not_declared_is_not_made() -> None:
    assert list(variants(field(), picture())) == []
    assert list(variants(field(formats=("png",), modes=("rgb",)), picture())) == []


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "I;16", "1"])
def test_every_format_and_mode(mode: str) -> None:
    declared = field(formats=FORMATS, modes=IMAGE_MODES)
    found = made(declared, picture(mode))
    own = mode_of(mode)
    words = [f"as {one.upper()}" for one in FORMATS if one != "png"] + [
        f"as {one}" for one in IMAGE_MODES if one != own
    ]
    assert list(found) == words
    for called, (image, _) in found.items():
        name = called.removeprefix("as ")
        assert (image.format or "").lower() == name.lower() if name.isupper() else mode_of(image.mode) == name
        assert image.size == (60, 40)
        left, right = image.convert("RGB").getpixel((30, 2)), image.convert("RGB").getpixel((30, 37))
        if own != "palette" and mode_of(image.mode) != "grey16":
            assert left[0] < 60 < 190 < right[0], called  # type: ignore[index]  # the gradient goes down as before


def test_grey_of_16_bits_has_its_whole_range() -> None:
    image, _ = made(field(modes=("rgb", "grey16")), picture())["as grey16"]
    least, most = image.convert("I").getextrema()
    assert least < 3_000  # type: ignore[operator]
    assert most > 62_000  # type: ignore[operator]


def test_a_format_has_only_the_modes_that_are_declared() -> None:
    found = made(field(formats=("png", "jpeg"), modes=("grey", "rgba")), picture("RGBA"))
    assert {words: mode_of(image.mode) for words, (image, _) in found.items()} == {"as JPEG": "grey", "as grey": "grey"}


def test_a_size_that_is_declared_counts_even_if_it_is_the_default() -> None:
    (largest,) = variants(field(pixels_max=IMAGE_PIXELS_MAX_DEFAULT, pixels_max_declared=True), picture())
    assert isinstance(largest, NotMade)
    assert list(variants(field(pixels_max=IMAGE_PIXELS_MAX_DEFAULT), picture())) == []


def test_turned_by_exif_it_shows_as_before() -> None:
    image, _ = made(field(exif_rotated=True), picture(name="JPEG"))["turned by EXIF"]
    assert (image.format, image.size, image.getexif()[ORIENTATION]) == ("JPEG", (40, 60), 6)
    from PIL import ImageOps

    shown = ImageOps.exif_transpose(image).convert("L")
    assert shown.size == (60, 40)
    assert shown.getpixel((30, 2)) < 60 < 190 < shown.getpixel((30, 37))  # type: ignore[operator]


def test_the_smallest_and_the_largest_size() -> None:
    found = made(field(pixels_min=301, pixels_max=40_001, pixels_max_declared=True), picture())
    sizes = {words: image.size for words, (image, _) in found.items()}
    assert sizes == {"at the smallest size, 301 pixels": (22, 14), "at the largest size, 40,001 pixels": (244, 163)}


@pytest.mark.parametrize(
    ("declared", "content", "why"),
    [
        (
            field(pixels_max=TRIAL_PICTURE_PIXELS_MAX + 1, pixels_max_declared=True),
            picture(),
            "pictures of more than 25,000,000 pixels are not",
        ),
        (field(formats=("png", "heic")), picture(), "nothing here writes that format"),
        (field(formats=("png", "webp"), modes=("grey",)), picture("L"), "it has none of the modes grey"),
        (field(formats=("jpeg",), modes=("rgb", "rgba")), picture(name="JPEG"), "none of the formats jpeg has it"),
        (field(formats=("bmp",), exif_rotated=True), picture(name="BMP"), "none of the formats bmp has EXIF"),
        (field(formats=("png",)), b"no picture", "the sample's own cannot be decoded here"),
    ],
)
def test_what_cannot_be_made_is_named(declared: Field, content: bytes, why: str) -> None:
    (one,) = variants(declared, content)
    assert isinstance(one, NotMade)
    assert one.why.startswith(why)
