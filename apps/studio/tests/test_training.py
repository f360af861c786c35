"""Training: an adapter that can be used, how far it is, and going on after a stop."""

import json
from contextlib import suppress

import pytest
from PIL import Image
from studio.checkpoints import LocalCheckpoints, checkpoints_at, name_of
from studio.errors import BadRequest, CheckpointsUnavailable, Stopped


def trained(studio, context, path, **fields):
    settings = {"subject": "lighthouse", "steps": 3, "rank": 2, "seed": 1} | fields
    return studio.train(pictures=path, context=context, **settings)


@pytest.fixture
def shown(samples):
    return samples / "pictures.zip"


def test_an_adapter_is_made_and_can_be_used(studio, make_context, shown, tmp_path):
    context = make_context()
    answer = trained(studio, context, shown)
    assert (answer["backend"], answer["subject"], answer["steps"], answer["resumed_from"]) == (
        "small",
        "lighthouse",
        3,
        0,
    )
    assert [one["step"] for one in context.told] == list(range(1, 4))
    header = answer["adapter"]
    assert json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]["subject"] == "lighthouse"
    path = tmp_path / "lighthouse.safetensors"
    path.write_bytes(answer["adapter"])
    picture = studio.inference(
        prompt="lighthouse",
        context=make_context(),
        width=128,
        height=128,
        num_inference_steps=1,
        seed=1,
        lora_path=path,
    )
    assert picture["adapter"] is not None


def test_a_stopped_training_goes_on_and_ends_as_if_it_had_not_been_stopped(studio, make_context, shown, scratch):
    """The generator writes a checkpoint every 25 steps."""
    whole = trained(studio, make_context(), shown, steps=26)
    with pytest.raises(Stopped, match="after step 25 of 26"):
        trained(studio, make_context(stop_after=25), shown, steps=26)
    assert list((scratch / "checkpoints").glob("*.checkpoint"))
    again = trained(studio, make_context(), shown, steps=26)
    assert (again["resumed_from"], again["adapter"] == whole["adapter"]) == (25, True)
    assert list((scratch / "checkpoints").glob("*.checkpoint")) == []


def test_another_training_does_not_go_on_from_it(tmp_path):
    settings = {"subject": "lighthouse", "steps": 26, "seed": 7}
    place = LocalCheckpoints(tmp_path)
    with suppress(Stopped), place.open(name_of(settings), resume=True) as checkpoint:
        checkpoint.path.write_bytes(b"step 25")
        raise Stopped
    for name, resume, there in (
        (name_of(settings | {"seed": 8}), True, False),
        (name_of(settings), True, True),
        (name_of(settings), False, False),
    ):
        with suppress(Stopped), place.open(name, resume=resume) as checkpoint:
            assert checkpoint.path.is_file() == there
            raise Stopped


GREY = Image.new("RGB", (40, 30), (90, 120, 60))


@pytest.mark.parametrize(
    ("members", "error_type"),
    [
        (b"", "pictures_unreadable"),
        (b"PK\x03\x04 and no more", "pictures_unreadable"),
        ({}, "pictures_missing"),
        ({"notes.txt": b"none", "__MACOSX/._a.png": b"x"}, "pictures_missing"),
        ({"a.png": b"no picture"}, "pictures_unreadable"),
        ({f"{number:03}.png": GREY for number in range(101)}, "too_many_pictures"),
        ({"large.png": Image.new("1", (6_000, 5_000))}, "picture_too_large"),
    ],
)
def test_pictures_that_cannot_be_used_are_told(studio, make_context, archive, members, error_type):
    with pytest.raises(BadRequest) as refused:
        trained(studio, make_context(), archive(members))
    assert (refused.value.error_type, refused.value.field) == (error_type, "pictures")
    assert "zip" in refused.value.valid


def test_checkpoints_are_bounded(tmp_path):
    place = LocalCheckpoints(tmp_path, kept_max=2)
    for name in "abc":
        with suppress(Stopped), place.open(name, resume=True) as checkpoint:
            checkpoint.path.write_bytes(b"step")
            raise Stopped
    assert len(list(tmp_path.iterdir())) == 2


def test_a_place_that_is_none_is_told():
    with pytest.raises(CheckpointsUnavailable, match="s3://bucket/prefix"):
        checkpoints_at("somewhere")
