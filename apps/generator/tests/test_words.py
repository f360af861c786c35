"""Captions: of what is shown, in the words of the vocabulary."""

import generator
import numpy as np
from generator.train import described
from generator.words import Portrait, Scene, caption, held_out


def test_what_is_kept_to_judge_by_is_not_trained_on():
    assert not any(held_out(one) for one in described(300, np.random.default_rng(0)))


def test_a_whole_caption_leaves_nothing_out():
    rng = np.random.default_rng(0)
    said = {caption(Scene("sea", "night", "moon", "boat", "red"), rng, whole=True) for _ in range(20)}
    assert len(said) > 10
    assert all("red" in one and "moon" in one and "boat" in one for one in said)
    said = caption(Portrait("grey", "long", "dark", "orange", "blue", True), rng, whole=True)
    assert all(
        word in said
        for word in ("long grey hair", "glasses", "dark" if "dark" in said else "brown", "blue", "orange background")
    )


def test_the_vocabulary_names_each_group():
    told = generator.vocabulary()
    assert set(told) == {"scenes", "times", "skies", "subjects", "colours", "portrait", "examples"}
    assert "beach" in told["scenes"] and "night" in told["times"]
