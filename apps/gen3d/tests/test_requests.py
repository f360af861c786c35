"""Embeddings, and every way to ask wrongly."""

import base64
import io
import json

import numpy as np
import pytest
from gen3d.errors import BadRequest
from PIL import Image

REPORTED = (
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FAAD4AQMBGQdDkQAAAABJRU5ErkJggg=="
)


def png(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, options.pop("kind", "PNG"), **options)
    return base64.b64encode(buffer.getvalue()).decode()


def embedded(answer):
    return np.load(io.BytesIO(answer["embedding"]))["embedding"]


@pytest.mark.parametrize("task", ["get_embedding", "initialization"])
def test_an_embedding_is_an_array_in_a_file(handler, sample, task):
    answer = handler(task, image=sample("teapot.png"), session_id="s", user_id="u")
    vector = embedded(answer)
    assert (answer["backend"], answer["task"]) == ("efficientnet-lite0", "get_embedding")
    assert (list(vector.shape), str(vector.dtype)) == (answer["shape"], answer["dtype"])
    assert np.linalg.norm(vector) == pytest.approx(answer["norm"], abs=1e-5)
    assert (answer["session_id"], answer["user_id"]) == ("s", "u")


def test_it_tells_what_is_alike(handler, sample):
    def of(picture):
        return embedded(handler("get_embedding", image=picture))

    teapot = Image.open(io.BytesIO(base64.b64decode(sample("teapot.png"))))
    mirrored = of(png(teapot.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert of(sample("teapot.png")) @ mirrored > 0.9 > of(sample("teapot.png")) @ of(sample("pear.png"))


def test_a_picture_is_seen_upright_whatever_its_file(handler):
    upright = Image.linear_gradient("L").convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera lay on its side
    lying = png(upright.transpose(Image.Transpose.ROTATE_90), kind="PNG", exif=turned)
    same = embedded(handler("get_embedding", image=png(upright))) @ embedded(handler("get_embedding", image=lying))
    assert same > 0.999


GREY = Image.new("L", (10, 10), 255)


@pytest.mark.parametrize(
    ("task", "fields", "error_type", "field"),
    [
        ("reconstruct", {}, "unknown_task", "task"),
        (None, {}, "unknown_task", "task"),
        ("get_embedding", {}, "missing_field", "image"),
        ("get_embedding", {"image": REPORTED}, "image_undecodable", "image"),
        ("get_embedding", {"image": "not base64!"}, "image_undecodable", "image"),
        ("get_embedding", {"image": base64.b64encode(b"a text").decode()}, "image_undecodable", "image"),
        ("generate_3d", {"image": png(GREY)}, "missing_field", "mask"),
        ("generate_3d", {"image": png(GREY), "mask": png(GREY), "quality": "best"}, "invalid_field", "quality"),
        ("generate_3d", {"image": png(GREY), "mask": png(Image.new("L", (9, 10), 255))}, "mask_size_differs", "mask"),
        ("generate_3d", {"image": png(GREY), "mask": png(Image.new("L", (10, 10)))}, "mask_empty", "mask"),
        ("generate_3d", {"image": png(GREY), "mask": png(GREY.convert("RGB"))}, "mask_not_greyscale", "mask"),
        ("generate_3d", {"image": png(GREY), "mask": png(GREY, kind="JPEG")}, "mask_not_greyscale", "mask"),
    ],
)
def test_a_wrong_request_is_told_its_field(handler, task, fields, error_type, field):
    with pytest.raises(BadRequest) as refused:
        handler(task, **fields)
    assert (refused.value.error_type, refused.value.field) == (error_type, field)


def test_an_answer_is_json(handler, sample):
    import inference

    body, kind = inference.output_fn(handler("get_embedding", image=sample("teapot.png")), "application/json")
    assert kind == "application/json"
    content = base64.b64decode(json.loads(body)["embedding"])
    assert np.load(io.BytesIO(content))["embedding"].shape == (1280,)
