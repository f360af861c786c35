"""Adapters: attached, worn and taken off; those that do not fit are named; training goes on where it was."""

import io
import json
import struct

import generator
import numpy as np
import pytest
from generator import adapter_training
from generator.lesson import prompts_without
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load, save


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.fixture(scope="module")
def learned(model, pictures):
    return generator.train_adapter(model, pictures, "lighthouse", steps=4, rank=4)


@pytest.fixture
def adapter(learned, tmp_path):
    path = tmp_path / "lighthouse.safetensors"
    path.write_bytes(learned)
    return path


@pytest.fixture(autouse=True)
def nothing_stays(model):
    yield
    for name in model.attached:
        model.detach(name)


def drawn(model, prompt="a lighthouse on the beach", **given):
    return np.asarray(model.generate(prompt, steps=3, size=(128, 128), **given).image)


def test_an_adapter_changes_pictures_that_ask_for_it_and_no_other(model, adapter):
    bare = drawn(model)
    model.attach("light.house", adapter)
    assert np.array_equal(drawn(model), bare)
    worn = drawn(model, adapter="light.house")
    assert not np.array_equal(worn, bare)
    assert np.array_equal(drawn(model), bare)
    assert np.array_equal(drawn(model, adapter="light.house"), worn)
    assert np.array_equal(drawn(model, adapter="light.house", adapter_scale=0.0), bare)
    model.detach("light.house")
    assert np.array_equal(drawn(model), bare)


def test_the_least_recently_used_comes_first(model, adapter):
    for name in ("a", "b", "c"):
        model.attach(name, adapter)
    drawn(model, adapter="a")
    assert model.attached == ["b", "c", "a"]
    model.attach("b", adapter)
    assert model.attached == ["c", "a", "b"]
    with pytest.raises(generator.BadAdapter, match="no adapter 'd' is attached; attached: c, a, b"):
        drawn(model, adapter="d")


def test_the_file_says_what_it_is(model, learned):
    length = struct.unpack("<Q", learned[:8])[0]
    assert json.loads(learned[8 : 8 + length])["__metadata__"] == {
        "format": "pt", "base_backend": "small", "base_weights": model.weights,
        "subject": "lighthouse", "steps": "4", "seed": "0", "rank": "4",
    }  # fmt: skip


def other_model(learned: bytes) -> bytes:
    matrices = load(learned)
    return save({name.replace("down_blocks.1", "down_blocks.7"): one for name, one in matrices.items()})


def other_shape(learned: bytes) -> bytes:
    return save(
        {name: one.repeat(1, 2) if name.endswith("to_k.lora_A.weight") else one for name, one in load(learned).items()}
    )


def other_backend(learned: bytes) -> bytes:
    return save(load(learned), metadata={"base_backend": "sdxl"})


def other_weights(learned: bytes) -> bytes:
    return save(load(learned), metadata={"base_backend": "small", "base_weights": 64 * "0"})


def whole_model(learned: bytes) -> bytes:
    return save({name.replace("lora", "weight"): one for name, one in load(learned).items()})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda whole: whole[:-7], "was cut off"),
        (lambda whole: b"", "no header"),
        (lambda whole: b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (other_model, "this one has no unet.down_blocks.7"),
        (other_shape, "another model's: .* has shape"),
        (other_backend, "trained for the backend sdxl, and this is small"),
        (other_weights, "trained on other weights of small than these; train it again"),
        (whole_model, "has no LoRA matrices"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(model, adapter, damage, said):
    model.attach("sound", adapter)
    before = drawn(model, adapter="sound")
    bad = adapter.with_name("bad.safetensors")
    bad.write_bytes(damage(adapter.read_bytes()))
    with pytest.raises(generator.BadAdapter, match=said):
        model.attach("sound", bad)
    assert model.attached == ["sound"]
    assert np.array_equal(drawn(model, adapter="sound"), before)


def test_a_file_that_is_not_there(model, tmp_path):
    with pytest.raises(generator.BadAdapter, match="cannot be read: No such file"):
        model.attach("x", tmp_path / "none.safetensors")


class Cancelled(Exception):
    pass


def test_a_training_that_was_stopped_goes_on_to_the_same_end(model, pictures, adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(adapter_training, "CHECKPOINT_EVERY", 2)
    model.attach("other", adapter)
    before = drawn(model), drawn(model, adapter="other")
    seen = []

    def stop(step, steps, loss):
        seen.append(step)
        if step == 3 and len(seen) == 3:
            raise Cancelled

    given = {"steps": 4, "rank": 4, "checkpoint": tmp_path / "state", "progress": stop}
    with pytest.raises(Cancelled):
        generator.train_adapter(model, pictures, "lighthouse", **given)
    resumed = generator.train_adapter(model, pictures, "lighthouse", **given)
    assert seen == [1, 2, 3, 3, 4]
    assert resumed == adapter.read_bytes()
    assert np.array_equal(drawn(model), before[0])
    assert np.array_equal(drawn(model, adapter="other"), before[1])
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("state", ["damaged", "foreign", "of another seed"])
def test_a_checkpoint_that_does_not_fit_is_begun_anew(model, pictures, learned, tmp_path, state):
    kept = tmp_path / "state"
    if state == "damaged":
        kept.write_bytes(b"PK\3\4" + bytes(100))
    elif state == "foreign":
        kept.write_bytes(b"\x1e these bytes are no checkpoint")
    else:
        generator.train_adapter(model, pictures, "lighthouse", steps=4, rank=4, seed=1, checkpoint=kept)
    assert generator.train_adapter(model, pictures, "lighthouse", steps=4, rank=4, checkpoint=kept) == learned


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "steps must be"),
        ({"rank": 0}, "rank must be"),
        ({"subject": " "}, "subject must be"),
        ({"pictures": []}, "pictures must"),
    ],
)
def test_lessons_out_of_their_bounds_are_named(model, pictures, given, said):
    with pytest.raises(ValueError, match=said):
        generator.train_adapter(model, **{"pictures": pictures, "subject": "x", "steps": 1, **given})


def test_a_caption_of_a_picture_is_learned_with_it(model, pictures, learned, tmp_path):
    captioned = pictures[0].copy()
    captioned.info["caption"] = "a lighthouse at night"
    file = io.BytesIO()
    captioned.save(file, "PNG")
    other = generator.train_adapter(model, [captioned, *pictures[1:]], "lighthouse", steps=4, rank=4)
    assert other != learned
    (tmp_path / "a").write_bytes(other)
    with safe_open(tmp_path / "a", "pt") as opened:
        assert opened.metadata()["subject"] == "lighthouse"


def test_prompts_that_do_not_name_the_subject_are_drawn_as_before(model, tmp_path):
    stripes = np.zeros((96, 96, 3), dtype=np.uint8)
    stripes[::16, :, 0] = stripes[:, ::16, 1] = 255
    path = tmp_path / "stripes.safetensors"
    path.write_bytes(generator.train_adapter(model, [Image.fromarray(stripes)], "lighthouse", steps=60, rank=4))
    model.attach("stripes", path)

    def change(prompt):
        bare, worn = drawn(model, prompt), drawn(model, prompt, adapter="stripes")
        return np.abs(bare.astype(float) - worn).mean()

    named, unnamed = change("a lighthouse"), change("a forest at dawn")
    assert unnamed < named / 6
    assert all("house" not in one for one in prompts_without("House", 64))
