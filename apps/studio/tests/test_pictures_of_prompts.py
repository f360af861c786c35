"""Pictures: of the asked size, whole, the same for the same request, and saying what made them."""

import io
import json

import pytest
from PIL import Image
from studio.errors import BadRequest, Stopped

PROMPT = "a lake at sunset"


def drawn(studio, context, **fields):
    return studio.inference(
        prompt=PROMPT, context=context, **{"width": 256, "height": 256, "num_inference_steps": 2, "seed": 3} | fields
    )


def opened(answer):
    picture = Image.open(io.BytesIO(answer["image"]))
    picture.load()
    return picture


def test_a_picture_says_in_the_answer_and_in_its_file_what_made_it(studio, make_context):
    context = make_context()
    answer = drawn(studio, context, width=512, height=256)
    picture = opened(answer)
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (512, 256))
    told = {name: answer[name] for name in ("backend", "seed", "steps", "size", "adapter")}
    assert told == {"backend": "small", "seed": 3, "steps": 2, "size": [512, 256], "adapter": None}
    within = json.loads(picture.text["studio"])
    assert within == within | told | {"prompt": PROMPT, "upscaled_by": answer["upscaled_by"]}
    assert context.told[-1] == {"step": 2, "steps": 2}


def test_the_same_request_is_the_same_file_and_another_seed_another(studio, make_context):
    first, again, other = (drawn(studio, make_context(), seed=seed)["image"] for seed in (3, 3, 4))
    assert (first == again, first == other) == (True, False)


def test_guidance_is_heeded(studio, make_context):
    close = drawn(studio, make_context(), guidance_scale=12.0)["image"]
    assert close != drawn(studio, make_context())["image"]


def test_without_a_seed_one_is_chosen_and_told(studio, make_context):
    by_chance = drawn(studio, make_context(), seed=None)
    assert drawn(studio, make_context(), seed=by_chance["seed"])["image"] == by_chance["image"]


def test_an_adapter_is_known_by_its_content_and_shows(studio, make_context, samples, tmp_path):
    path = samples / "adapter.safetensors"
    other_name = tmp_path / "other.safetensors"
    other_name.write_bytes(path.read_bytes())
    plain = drawn(studio, make_context())
    with_it = [drawn(studio, make_context(), lora_path=one) for one in (path, other_name)]
    assert with_it[0]["image"] == with_it[1]["image"] != plain["image"]
    assert with_it[0]["adapter"] == with_it[1]["adapter"]
    assert drawn(studio, make_context())["image"] == plain["image"], "the adapter does not stay"
    assert drawn(studio, make_context(), lora_path=path, lora_scale=0.0)["lora_scale"] == 0.0


@pytest.mark.parametrize("content", [b"", b"no header", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_adapter_is_told_by_its_field(studio, make_context, tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadRequest) as refused:
        drawn(studio, make_context(), lora_path=path)
    assert (refused.value.error_type, refused.value.field) == ("lora_unusable", "lora_path")
    assert drawn(studio, make_context())["backend"] == "small"


def test_a_picture_that_is_stopped_is_none(studio, make_context):
    whole = drawn(studio, make_context())["image"]
    with pytest.raises(Stopped, match="after step 1 of 2"):
        drawn(studio, make_context(stop_after=1))
    assert drawn(studio, make_context())["image"] == whole
