import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.domain.checking import MediaValue, RawMedia, Request, base64_bytes, check_request, resolve_task
from seatrial.domain.checking.media_values import normal_base64
from seatrial.domain.contract import Contract, Field, FieldType, MediaSource, Task
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import KEY_BYTES_MAX, PROBLEMS_LISTED_MAX
from seatrial.domain.objects import ObjectName

EMBED = Task("get_embedding", aliases=("initialization",))
GENERATE = Task("generate_3d")
SEVERAL = Contract((EMBED, GENERATE))
ONE = Contract((EMBED,))
IMAGE = Field("image", FieldType.IMAGE, required=True, key_field="image_s3_key", bucket_field="bucket", bytes_max=1_000)
PIXELS = base64.b64encode(bytes(range(48))).decode()


def plain(name: str, kind: str, **more: Any) -> Field:
    schema = {"type": kind} | more.pop("schema", {})
    return Field(name, FieldType(kind), schema=schema, **more)


def refused(task: Task, payload: dict[str, Any]) -> BadInput:
    with pytest.raises(BadInput) as caught:
        check_request(task, payload, "task")
    return caught.value


def sent(payload: dict[str, Any], field: Field = IMAGE) -> MediaValue:
    return check_request(Task("t", fields=(field,)), payload, "task").media[field.name]


def not_sent(payload: dict[str, Any], field: Field = IMAGE) -> BadInput:
    return refused(Task("t", fields=(field,)), payload)


# ---------------------------------------------------------------- which task


@pytest.mark.parametrize(
    ("contract", "named", "payload", "task"),
    [
        (SEVERAL, None, {"task": "generate_3d"}, GENERATE),
        (SEVERAL, None, {"task": "initialization"}, EMBED),
        (SEVERAL, "generate_3d", {"task": "get_embedding"}, GENERATE),
        (SEVERAL, "initialization", None, EMBED),
        (ONE, None, {}, EMBED),
        (ONE, None, None, EMBED),
    ],
)
def test_the_task_is_found(contract: Contract, named: str | None, payload: dict[str, Any] | None, task: Task) -> None:
    assert resolve_task(contract, named, payload) is task


def test_an_unknown_task_lists_the_valid_ones() -> None:
    with pytest.raises(BadInput) as caught:
        resolve_task(SEVERAL, None, {"task": "warm_up"})
    assert caught.value.error_type == "unknown_task"
    assert caught.value.field == "task"
    assert caught.value.valid == "get_embedding (also: initialization), generate_3d"
    assert caught.value.message == (
        "Unknown task: warm_up. Valid tasks: get_embedding (also: initialization), generate_3d"
    )


def test_the_only_task_is_not_what_a_wrong_name_means() -> None:
    with pytest.raises(BadInput, match="Unknown task: other"):
        resolve_task(ONE, None, {"task": "other"})


@pytest.mark.parametrize(
    ("payload", "word"), [({}, "missing_field"), (None, "missing_field"), ({"task": 3}, "invalid_field")]
)
def test_one_of_several_tasks_has_to_be_named(payload: dict[str, Any] | None, word: str) -> None:
    with pytest.raises(BadInput, match="generate_3d") as caught:
        resolve_task(SEVERAL, None, payload)
    assert caught.value.error_type == word


def test_the_task_field_may_have_another_name() -> None:
    contract = Contract((EMBED, GENERATE), task_field="mode")
    assert resolve_task(contract, None, {"mode": "generate_3d", "task": "x"}) is GENERATE


# ---------------------------------------------------------------- plain fields


SIZES = Task(
    "t",
    fields=(
        plain("steps", "integer", required=True, schema={"minimum": 1, "maximum": 8}, description="How many"),
        plain("style", "string", default="flat", schema={"enum": ["flat", "round"]}),
        plain(
            "options",
            "object",
            schema={"properties": {"sizes": {"type": "array", "items": {"type": "integer"}}}},
        ),
    ),
)


def test_defaults_are_filled_in() -> None:
    assert check_request(SIZES, {"task": "t", "steps": 3}, "task") == Request(SIZES, {"steps": 3, "style": "flat"}, {})


@pytest.mark.parametrize(
    ("payload", "word", "field", "says"),
    [
        ({}, "missing_field", "steps", "'steps' is required and missing: How many"),
        ({"steps": 0}, "invalid_field", "steps", "must be at least 1, is 0"),
        ({"steps": 9}, "invalid_field", "steps", "must be at most 8, is 9"),
        ({"steps": "3"}, "invalid_field", "steps", "must be an integer, is string"),
        ({"steps": True}, "invalid_field", "steps", "must be an integer, is boolean"),
        ({"steps": 3, "style": "odd"}, "invalid_field", "style", 'must be one of "flat", "round", is "odd"'),
        ({"steps": 3, "style": None}, "invalid_field", "style", "leave the field out"),
        ({"steps": 3, "options": {"sizes": [1, "x"]}}, "invalid_field", "options/sizes/1", "must be an integer"),
        ({"steps": 3, "stile": "flat"}, "unknown_field", "stile", "Did you mean 'style'?"),
    ],
)
def test_a_wrong_field_is_named(payload: dict[str, Any], word: str, field: str, says: str) -> None:
    error = refused(SIZES, payload)
    assert (error.error_type, error.field) == (word, field)
    assert says in error.message
    assert error.valid


def test_all_problems_are_listed() -> None:
    error = refused(SIZES, {"steps": 0, "style": "odd", "x": 1})
    told = error.details["problems"]
    assert [(one["error_type"], one["field"]) for one in told] == [
        ("invalid_field", "steps"),
        ("invalid_field", "style"),
        ("unknown_field", "x"),
    ]
    assert told[0]["message"] == error.message


def test_no_more_problems_are_told_than_anyone_reads() -> None:
    error = refused(SIZES, {f"field{n}": n for n in range(1_000)})
    assert len(error.details["problems"]) == PROBLEMS_LISTED_MAX


def test_a_message_never_repeats_a_big_value() -> None:
    assert len(refused(SIZES, {"steps": 3, "style": "x" * 1_000_000}).message) < 300


def test_undeclared_fields_pass_where_the_task_says_so() -> None:
    task = Task("t", fields=SIZES.fields, extra_fields=True)
    assert check_request(task, {"task": "t", "steps": 3, "seed": [1]}, "task").fields["seed"] == [1]


def test_a_reference_out_of_the_schema_is_refused_and_never_fetched() -> None:
    schema = {"$ref": "http://127.0.0.1:1/schema.json"}
    task = Task("t", fields=(Field("a", FieldType.OBJECT, schema=schema),))
    assert "is not in it" in refused(task, {"a": {}}).message


def test_each_task_object_has_its_own_rules() -> None:
    for maximum in range(1, 50):
        task = Task("t", fields=(plain("n", "integer", schema={"maximum": maximum}),))
        check_request(task, {"n": maximum}, "task")
        refused(task, {"n": maximum + 1})


# ---------------------------------------------------------------- media fields


@pytest.mark.parametrize(
    ("payload", "source", "value"),
    [
        ({"image": "s3://b/a/k.png"}, MediaSource.URI, ObjectName("b", "a/k.png")),
        ({"image": "S3://b/k"}, MediaSource.URI, ObjectName("b", "k")),
        ({"image": "https://example.org/a.png?x=1"}, MediaSource.URL, "https://example.org/a.png?x=1"),
        ({"image": f"data:image/png;base64,{PIXELS}"}, MediaSource.DATA_URL, PIXELS),
        ({"image": PIXELS}, MediaSource.BASE64, PIXELS),
        ({"image": f"{PIXELS[:30]}\r\n {PIXELS[30:]}\n"}, MediaSource.BASE64, PIXELS),
        ({"image": {"bucket": "b", "key": "k"}}, MediaSource.KEY, ObjectName("b", "k")),
        ({"image": "photos/a.png", "bucket": "b"}, MediaSource.KEY, ObjectName("b", "photos/a.png")),
        ({"image_s3_key": "photos/a.png", "bucket": "b"}, MediaSource.KEY, ObjectName("b", "photos/a.png")),
        ({"image": None, "image_s3_key": "k", "bucket": "b"}, MediaSource.KEY, ObjectName("b", "k")),
        ({"image": "short", "bucket": "b"}, MediaSource.KEY, ObjectName("b", "short")),
    ],
)
def test_every_form_is_recognised(payload: dict[str, Any], source: MediaSource, value: object) -> None:
    found = sent(payload)
    assert (found.source, found.value) == (source, value)


def test_the_default_bucket_counts_where_none_is_named() -> None:
    field = Field("image", FieldType.IMAGE, key_field="key", bucket_field="bucket", bucket_default="usual")
    assert sent({"key": "k"}, field).value == ObjectName("usual", "k")
    assert sent({"key": "k", "bucket": "b"}, field).value == ObjectName("b", "k")
    assert sent({"image": {"key": "sub/a.png"}}, field).value == ObjectName("usual", "sub/a.png")
    assert sent({"image": {"key": "sub/a.png"}, "bucket": "b"}, field).value == ObjectName("b", "sub/a.png")


def test_text_like_base64_is_a_key_where_base64_is_not_taken() -> None:
    field = Field("image", FieldType.IMAGE, sources=frozenset({MediaSource.KEY}), bucket_default="b")
    assert sent({"image": "folder/picture1234567890"[:24]}, field).source is MediaSource.KEY


@pytest.mark.parametrize(
    ("payload", "field", "says"),
    [
        ({"image": 3}, "image", "must be text or an object"),
        ({"image": None}, "image", "must be text or an object"),
        ({"image": ""}, "image", "no bucket is known"),
        ({"image": "photos/a.png"}, "image", "give the bucket in 'bucket'"),
        ({"image_s3_key": "photos/a.png"}, "image_s3_key", "no bucket is known"),
        ({"image": PIXELS, "image_s3_key": "k", "bucket": "b"}, "image", "not both"),
        ({"image": "s3://bucket"}, "image", "s3://bucket/key"),
        ({"image": "https://"}, "image", "well-formed"),
        ({"image": "http://[::1/x"}, "image", "well-formed"),
        ({"image": "data:image/png,abc"}, "image", "base64"),
        ({"image": "data:image/png;base64,???"}, "image", "not valid base64"),
        ({"image": {"bucket": "b"}}, "image", "exactly"),
        ({"image": {"key": "k"}}, "image", "no bucket is known"),
        ({"image": {"bucket": "b", "key": 1}}, "image", "object key"),
        ({"image": "k", "bucket": 7}, "bucket", "bucket"),
        ({"image": "k" * (KEY_BYTES_MAX + 1), "bucket": "b"}, "image", "neither valid base64"),
    ],
)
def test_what_is_no_form_says_which_there_are(payload: dict[str, Any], field: str, says: str) -> None:
    error = not_sent(payload)
    assert (error.error_type, error.field) == ("invalid_field", field)
    assert says in error.message
    if "not both" not in says:
        assert "s3://bucket/key" in str(error.valid)


@pytest.mark.parametrize("source", sorted(set(MediaSource)))
def test_a_source_that_the_field_does_not_name_is_refused(source: MediaSource) -> None:
    values: dict[MediaSource, Any] = {
        MediaSource.KEY: {"bucket": "b", "key": "k"},
        MediaSource.URI: "s3://b/k",
        MediaSource.URL: "http://example.org/",
        MediaSource.DATA_URL: f"data:;base64,{PIXELS}",
        MediaSource.BASE64: PIXELS,
        MediaSource.RAW: RawMedia(b"x", "image/png", 1),
    }
    only = Field("image", FieldType.IMAGE, sources=frozenset({source}))
    others = Field("image", FieldType.IMAGE, sources=frozenset(MediaSource) - {source, MediaSource.KEY})
    assert sent({"image": values[source]}, only).source is source
    assert not_sent({"image": values[source]}, others).error_type == "invalid_field"


def test_media_that_comes_along_is_bounded_before_it_is_decoded() -> None:
    error = not_sent({"image": base64.b64encode(bytes(1_001)).decode()})
    assert error.error_type == "media_too_large"
    assert "1,001" in error.message
    assert "1,000" in error.message
    assert sent({"image": base64.b64encode(bytes(1_000)).decode()}).source is MediaSource.BASE64
    assert not_sent({"image": RawMedia(b"", "image/png", 1_001)}).error_type == "media_too_large"


def test_a_missing_picture_says_how_to_send_one() -> None:
    error = not_sent({})
    assert error.error_type == "missing_field"
    assert "image_s3_key" in str(error.valid)


@given(st.binary(min_size=1), st.booleans(), st.integers(1, 76))
def test_base64_is_read_back_in_both_alphabets(data: bytes, url_safe: bool, width: int) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    folded = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    normal = normal_base64(folded)
    assert normal is not None
    assert base64_bytes(normal) == data


@pytest.mark.parametrize("text", ["", "=", "====", "abc", "abcd=", "ab=c", "ab+-", "äbcd", "ab.d", "abcdef==="])
def test_what_is_not_strictly_base64_is_not_base64(text: str) -> None:
    assert normal_base64(text) is None
