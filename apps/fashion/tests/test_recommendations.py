"""What is shown, and how it is ranked, on a small catalogue."""

import base64
import io
import json
import random

import catalogue as drawn
import inference
import jsonschema
import pytest
from conftest import APP
from fashion.errors import BadRequest
from PIL import Image


def picture(category="tshirt", colours=("red",), pattern="plain"):
    buffer = io.BytesIO()
    drawn.draw(category, pattern, colours, random.Random(99)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def ask(model, **request):
    body, kind = inference.output_fn(
        inference.predict_fn(inference.input_fn(json.dumps(request).encode(), "application/json"), model), "*/*"
    )
    assert kind == "application/json"
    return json.loads(body)


@pytest.mark.parametrize("category", ["tshirt", "trousers", "dress", "shoe", "bag"])
def test_look_alikes_are_of_the_pictures_category(model, category):
    answer = ask(model, image=picture(category))
    assert answer["query"]["category"] == category
    assert {one["category"] for one in answer["similar"]} == {category}


def test_scores_fall_and_are_what_their_parts_say(model):
    answer = ask(model, image=picture(), top_k=8)
    weights = {"similar": {"embedding": 0.4, "colour": 0.6}}
    weights["matching"] = {"embedding": 0.1, "harmony": 0.5, "category": 0.3, "gender": 0.1}
    for word in ("similar", "matching"):
        scores = [one["score"] for one in answer[word]]
        assert scores == sorted(scores, reverse=True)
        for one in answer[word]:
            assert one["score"] == pytest.approx(
                sum(weights[word][name] * v for name, v in one["parts"].items()), abs=2e-3
            )


def test_what_matches_is_of_other_categories_that_go_with_it(model):
    categories = {one["category"] for one in ask(model, image=picture("dress"), top_k=50)["matching"]}
    assert categories == {"shoe", "bag", "jacket"}


def test_an_item_of_the_catalogue_finds_itself(model, catalogue):
    folder, truth = catalogue
    row = next(one for one in truth.values() if one["category"] == "skirt")
    content = base64.b64encode((folder / row["path"]).read_bytes()).decode()
    first = ask(model, image=content, top_k=1)["similar"][0]
    assert (first["id"], first["uri"]) == (row["id"], f"s3://stygig-ml-s3/train/{row['path']}")


def test_filters_hold(model):
    answer = ask(model, image=picture(), categories=["shoe", "trousers"], gender="male", top_k=50)
    shown = answer["similar"] + answer["matching"]
    assert {one["category"] for one in shown} == {"shoe", "trousers"}
    assert {one["gender"] for one in shown} <= {"male", "unisex"}


@pytest.mark.parametrize("filtered", [["shirt"], ["shoe", "cap"]])
def test_look_alikes_are_of_the_filters_categories_where_it_leaves_out_the_pictures(model, filtered):
    answer = ask(model, image=picture("tshirt"), categories=filtered, top_k=50)
    assert answer["query"]["category"] == "tshirt"
    assert {one["category"] for one in answer["similar"]} == set(filtered)


def test_look_alikes_are_of_the_pictures_category_where_the_filter_has_it(model):
    answer = ask(model, image=picture("tshirt"), categories=["tshirt", "shoe"], top_k=50)
    assert {one["category"] for one in answer["similar"]} == {"tshirt"}
    assert {one["category"] for one in answer["matching"]} == {"shoe"}


def test_what_matches_goes_with_the_class_that_the_neighbours_have(model):
    """The catalogue's dresses are all female, its bags are of every class."""
    answer = ask(model, image=picture("dress"), top_k=50)
    assert answer["query"]["gender"] == "female"
    bags = [one for one in answer["matching"] if one["category"] == "bag"]
    assert bags
    for one in answer["matching"]:
        assert one["parts"]["gender"] == {"female": 1.0, "unisex": 0.9}[one["gender"]]


def test_a_class_that_is_given_is_the_querys(model):
    answer = ask(model, image=picture("dress"), gender="male", top_k=50)
    assert answer["query"]["gender"] == "male"
    assert {one["gender"] for one in answer["matching"]} <= {"male", "unisex"}


def test_an_answer_is_what_its_schema_says(model):
    schema = json.loads((APP / "schemas" / "recommendation.json").read_text())
    jsonschema.validate(ask(model, image=picture("dress")), schema)


@pytest.mark.parametrize("size", [(1, 1), (500, 1), (1, 500)])
def test_the_narrowest_pictures_are_answered(model, size):
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    answer = ask(model, image=base64.b64encode(buffer.getvalue()).decode())
    assert [one["name"] for one in answer["query"]["colours"]] == ["red"]


def test_raw_bytes_are_a_picture_too(model):
    content = base64.b64decode(picture("bag"))
    answer = inference.predict_fn(inference.input_fn(content, "image/png"), model)
    assert answer["query"]["category"] == "bag"


@pytest.mark.parametrize(
    ("request_", "error_type", "field"),
    [
        ({}, "missing_field", "image"),
        ({"image": "no base64"}, "image_undecodable", "image"),
        ({"image": base64.b64encode(b"no picture").decode()}, "image_undecodable", "image"),
        ({"image": picture(), "top_k": 0}, "invalid_field", "top_k"),
        ({"image": picture(), "top_k": True}, "invalid_field", "top_k"),
        ({"image": picture(), "categories": ["hat"]}, "invalid_field", "categories"),
        ({"image": picture(), "gender": "cat"}, "invalid_field", "gender"),
    ],
)
def test_a_wrong_request_is_told_its_field(model, request_, error_type, field):
    with pytest.raises(BadRequest) as refused:
        ask(model, **request_)
    assert (refused.value.error_type, refused.value.field) == (error_type, field)
