"""Colours against figures that are known: CIELAB's own, the drawn catalogue's, and hue relations."""

import random

import catalogue as drawn
import numpy as np
import pytest
from fashion.colour import closeness, harmony, lab, main_colours, name_of


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
