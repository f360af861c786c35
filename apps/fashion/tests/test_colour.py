"""Colours against figures that are known: CIELAB's own, the drawn catalogue's, and hue relations."""

import random

import catalogue as drawn
import numpy as np
import pytest
from fashion.colour import closeness, harmony, lab, main_colours, name_of
from fashion.picture import Picture
from PIL import Image, ImageDraw


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),  # Lindbloom's calculator, D65
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_cielab_of_srgb(rgb, expected):
    assert lab(np.array([rgb], np.uint8))[0] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("colour", drawn.COLOURS)
def test_the_colour_of_a_plain_item_has_its_name(colour):
    picture = np.asarray(drawn.draw("tshirt", "plain", (colour,), random.Random(5)))
    assert name_of(main_colours(picture)[0]) in (colour, *ALIKE.get(colour, ()))


ALIKE = {"white": ("beige", "grey"), "navy": ("black",), "burgundy": ("brown",)}  # under a light that is drawn too


def test_two_colours_of_a_pattern_are_both_found():
    picture = np.asarray(drawn.draw("skirt", "stripes", ("navy", "yellow"), random.Random(2)))
    assert {"navy", "yellow"} <= {name_of(one) for one in main_colours(picture)}


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3), (3, 3)])
def test_the_narrowest_pictures_have_a_colour(size):
    (only,) = main_colours(np.full((*size, 3), (190, 44, 48), np.uint8))
    assert (name_of(only), only[3]) == ("red", 1.0)


@pytest.mark.parametrize("hidden", [(255, 255, 255), (0, 0, 0), (0, 200, 0)])
def test_what_is_transparent_has_no_colour(hidden):
    """Whatever is written below the transparent pixels; and soft edges that are brought onto white add none."""
    cut = Image.new("RGBA", (200, 200), (*hidden, 0))
    ImageDraw.Draw(cut).ellipse((10, 10, 190, 190), fill=(190, 44, 48, 255))
    seen = Picture.of(cut)
    assert seen.image.getpixel((0, 0)) == (255, 255, 255)
    assert [name_of(one) for one in main_colours(np.asarray(seen.image), seen.opaque)] == ["red"]


def test_an_item_that_fills_a_picture_up_to_its_transparent_corners_keeps_its_stripes():
    cut = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    pen = ImageDraw.Draw(cut)
    pen.rectangle((2, 2, 197, 99), fill=(236, 235, 230, 255))
    pen.rectangle((2, 100, 197, 197), fill=(32, 44, 92, 255))
    seen = Picture.of(cut)
    assert {name_of(one) for one in main_colours(np.asarray(seen.image), seen.opaque)} == {"white", "navy"}


def test_a_picture_of_nothing_is_white():
    seen = Picture.of(Image.new("RGBA", (20, 20), (0, 0, 0, 0)))
    assert [name_of(one) for one in main_colours(np.asarray(seen.image), seen.opaque)] == ["white"]


def colour(hue, chroma=40.0):
    return ((50.0, chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue)), 1.0),)


def test_harmony_follows_hue_relations():
    assert harmony(colour(20), colour(20)) > harmony(colour(20), colour(200)) > harmony(colour(20), colour(110))
    assert harmony(colour(20), colour(140)) > harmony(colour(20), colour(110))
    assert harmony(colour(20), colour(100, chroma=2)) == pytest.approx(0.9)
    assert harmony(colour(350), colour(10)) == pytest.approx(harmony(colour(10), colour(30)))


def test_closeness_is_one_for_the_same_and_falls_with_distance():
    assert closeness(colour(20), colour(20)) == pytest.approx(1)
    assert closeness(colour(20), colour(40)) > closeness(colour(20), colour(200))
