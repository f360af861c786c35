"""Embeddings, and every way to ask wrongly."""

import base64
import io
import json

import numpy as np
import pytest
from gen3d.errors import BadRequest
from gen3d.picture import read_mask, read_picture
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


def turned_by_exif(picture):
    """The same picture, lying in its file, with the orientation that brings it upright again."""
    orientation = Image.Exif()
    orientation[0x0112] = 6
    return png(picture.transpose(Image.Transpose.ROTATE_90), exif=orientation)


@pytest.mark.parametrize("lying", [png, turned_by_exif])
def test_a_mask_lies_on_the_upright_picture(lying):
    """Taller than wide, so that one that was not turned does not fit."""
    picture = read_picture(base64.b64decode(turned_by_exif(Image.linear_gradient("L").resize((40, 60)))))
    mask = Image.new("L", (40, 60))
    mask.paste(255, (5, 10, 15, 50))
    assert (read_mask(base64.b64decode(lying(mask)), picture.shape[1::-1]) == (np.asarray(mask) != 0)).all()


def test_a_mask_that_fits_only_the_file_is_refused():
    picture = read_picture(base64.b64decode(turned_by_exif(Image.new("RGB", (40, 60)))))
    with pytest.raises(BadRequest, match="60 x 40 pixels, the upright image 40 x 60") as refused:
        read_mask(base64.b64decode(png(Image.new("L", (60, 40), 255))), picture.shape[1::-1])
    assert refused.value.error_type == "mask_size_differs"


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
