"""Pictures: of the size asked for, the same for the same question, whatever happened in between."""

import io

import generator
import numpy as np
import pytest


def test_a_picture_and_what_is_said_of_it(model):
    done = []
    picture = model.generate("a beach at sunset", seed=3, steps=6, progress=lambda *at: done.append(at))
    assert picture.image.size == (1024, 1024)
    assert picture.image.mode == "RGB"
    assert done == [(step, 6) for step in range(1, 7)]
    seconds = picture.facts.pop("seconds")
    assert 0 < seconds < 60
    assert picture.facts == {
        "backend": "small", "device": "cpu", "seed": 3, "steps": 6, "native_size": [128, 128],
        "size": [1024, 1024], "upscaled_by": 8.0, "adapter": None, "prompt_truncated": False,
    }  # fmt: skip


@pytest.mark.parametrize("time", generator.vocabulary()["times"])
def test_whole_pictures_also_at_night(model, time):
    """What the studio profile of `seatrial validate` asks for."""
    picture = model.generate(f"a forest {time}", seed=1, steps=8).image
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert file.tell() > 200_000
    assert (np.asarray(picture.convert("L")) <= 10).mean() < 0.5
    assert np.asarray(picture).var(axis=(0, 1)).mean() > 100


def test_the_same_question_has_the_same_picture(model):
    def drawn(prompt, seed):
        return np.asarray(model.generate(prompt, seed=seed, steps=3, size=(128, 128)).image)

    first = drawn("a city at night", 7)
    assert not np.array_equal(first, drawn("a city at night", 8))
    assert not np.array_equal(first, drawn("a meadow by day", 7))
    assert np.array_equal(first, drawn("a city at night", 7))


def test_a_picture_that_is_not_square_is_cut_not_stretched(model):
    picture = model.generate("a meadow by day", steps=2, size=(640, 320))
    assert picture.image.size == (640, 320)
    assert picture.facts["upscaled_by"] == 5.0


def test_what_progress_raises_passes_through_and_the_next_is_drawn(model):
    def stop(done, steps):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.generate("a desert by day", steps=4, progress=stop)
    assert model.generate("a desert by day", steps=2, size=(64, 64)).image.size == (64, 64)


def test_a_prompt_that_is_longer_than_what_is_read_is_said(model):
    assert model.generate("a red house " * 60, steps=1, size=(64, 64)).facts["prompt_truncated"] is True


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": " "}, "prompt must be"),
        ({"prompt": "x" * 5000}, "prompt must be"),
        ({"seed": -1}, "seed must be"),
        ({"steps": 0}, "steps must be"),
        ({"steps": 1000}, "steps must be"),
        ({"guidance": 0.5}, "guidance must be"),
        ({"size": (32, 64)}, "size must be"),
        ({"adapter_scale": 9.0}, "adapter_scale must be"),
    ],
)
def test_arguments_out_of_their_bounds_are_named(model, given, said):
    with pytest.raises(ValueError, match=said):
        model.generate(**{"prompt": "a beach", **given})


def test_memory_is_told_in_bytes(model):
    told = model.memory()
    assert told["device"] == "cpu"
    assert told["process_rss"] > 100_000_000
    assert told["free"] > 0
