"""Every way to ask wrongly, and what is made of what is asked rightly."""

import os
import random
from posixpath import normpath
from urllib.parse import unquote

import pytest
from headshot.errors import BadRequest
from headshot.place import place, seed_of
from headshot.request import checked_user_id, read, sanitised_prompt
from problems import MORE, NO_OBJECT, PROMPT, REPORTED


@pytest.mark.parametrize(("given", "wanted"), REPORTED + MORE)
def test_a_bad_request_is_told_what_is_wrong_and_what_is_valid(worker, server, logged, given, wanted):
    answer = worker.answer({"id": "job", "input": given})
    assert (answer["error"], answer["error_type"], answer["field"]) == wanted
    assert answer["valid"]
    assert (answer["backend"], answer["pid"]) == ("small", os.getpid())
    assert f"memory after {wanted[1]} on cpu: " in logged()
    assert server.requests == []


@pytest.mark.parametrize("given", NO_OBJECT)
def test_an_input_that_is_no_object(worker, given):
    answer = worker.answer({"id": "job", "input": given})
    assert (answer["error"], answer["error_type"]) == ("Input must be an object", "input_invalid_type")


def test_a_job_without_input(worker):
    assert worker.answer({"id": "job"})["error_type"] == "input_invalid_type"


def test_a_prompt_is_made_clean():
    assert sanitised_prompt("  a\tred\n\nface ") == "a red face"
    assert sanitised_prompt("cafe\u0301") == "caf\u00e9"
    assert sanitised_prompt("a\u202e red\ufeff face") == "a red face"
    assert sanitised_prompt("\U0001f468\u200d\U0001f9b0 smiling") == "\U0001f468\u200d\U0001f9b0 smiling"
    assert len(sanitised_prompt("A" * 1000)) == 1000
    assert len(sanitised_prompt("e\u0301" * 1000 + " " * 5000)) == 1000


@pytest.mark.parametrize("user_id", ["test", "7", "A_b-c", "2eb16359-ecd4-4070-8eb1-8408baa42493", "u" * 64])
def test_a_user_id_is_kept_as_it_is(user_id):
    assert checked_user_id(user_id) == user_id


def test_no_user_id_leaves_its_folder():
    chance = random.Random(4)
    pieces = [
        "..",
        ".",
        "/",
        "\\",
        "%2e",
        "%2F",
        "%00",
        "\x00",
        "~",
        "a",
        "Z",
        "9",
        "_",
        "-",
        "\uff0e",
        "\u2215",
        " ",
        "é",
    ]
    let_through = 0
    for _ in range(5_000):
        user_id = "".join(chance.choices(pieces, k=chance.randrange(1, 6)))
        try:
            checked_user_id(user_id)
        except BadRequest:
            continue
        let_through += 1
        path = place(user_id, "job")
        assert normpath(unquote(path)) == path == f"{user_id}/job.png"
    assert let_through > 20


def test_the_platforms_ids_are_names_or_hashes():
    assert place("u", "sync-2eb16359-ecd4-4070-8eb1-8408baa42493-e1").endswith("-e1.png")
    for job_id in ("../x", "", "a/b", "a" * 101, "\ud800", ".."):
        name = place("u", job_id).removeprefix("u/").removesuffix(".png")
        assert len(name) == 64
        assert int(name, 16)
    assert seed_of("a") == seed_of("a") != seed_of("b")


def test_a_whole_request():
    read_one = read({"prompt": PROMPT, "user_id": "test", "seed": 0})
    assert (read_one.prompt, read_one.user_id, read_one.seed) == (PROMPT, "test", 0)
    assert read({"prompt": PROMPT, "user_id": "test", "seed": None}).seed is None
