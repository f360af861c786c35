"""Jobs from their request to the picture at its URL, and what can go wrong on the way."""

import gc
import hashlib
import io
import json
import os
import urllib.error
import urllib.request

import jsonschema
import pytest
import torch
from conftest import APP, BUCKET
from PIL import Image
from problems import PROMPT

JOB = {"id": "job-1", "input": {"prompt": PROMPT, "user_id": "test", "seed": 7}}
SCHEMA = json.loads((APP / "schemas" / "headshot.json").read_text())


def fetched(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def refusal(url):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10)
    with refused.value:
        return json.loads(refused.value.read())["message"]


@pytest.fixture
def failing(model, monkeypatch):
    """Let the model fail in the middle of a picture."""

    def fail(error):
        def generate(prompt, **asked):
            raise error

        monkeypatch.setattr(model, "generate", generate)

    return fail


def test_a_picture_in_its_users_folder_and_a_url_to_it(worker, server, logged):
    answer = worker.answer(JOB)
    jsonschema.validate(answer, SCHEMA)
    assert (answer["status"], answer["backend"], answer["pid"]) == ("success", "small", os.getpid())
    content = fetched(answer["signed_url"])
    assert server.objects(BUCKET) == {"test/job-1.png": content}
    assert hashlib.sha256(content).hexdigest() == answer["sha256"]
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, list(picture.size)) == ("PNG", answer["picture"]["size"])
    assert answer["picture"]["seed"] == 7
    said = logged()
    assert "memory after success on cpu: " in said
    assert PROMPT not in said


@pytest.mark.usefixtures("drawn_before")
def test_a_url_is_good_for_its_object_and_its_time_only(make_worker, environ, server):
    answer = make_worker(environ | {"HEADSHOT_URL_SECONDS": "60"}).answer(JOB)
    url = answer["signed_url"]
    assert answer["expires_in"] == 60
    now = server.clock()
    server.clock = lambda: now + 59
    fetched(url)
    server.clock = lambda: now + 61
    assert "exp" in refusal(url)
    server.clock = lambda: now
    assert "signature" in refusal(url[:-2])
    assert "do not match" in refusal(url.replace("test/job-1", "other/job-1"))
    assert "signature" in refusal(url.partition("?")[0])


def test_a_job_that_runs_again_replaces_its_own_picture(worker, server):
    asked = {"prompt": PROMPT, "user_id": "test"}
    first, again, other = (worker.answer({"id": job, "input": asked}) for job in ("a", "a", "b"))
    assert first["sha256"] == again["sha256"] != other["sha256"]
    assert list(server.objects(BUCKET)) == ["test/a.png", "test/b.png"]


@pytest.mark.usefixtures("drawn_before")
@pytest.mark.parametrize(
    ("statuses", "error_type", "message"),
    [
        ([403], "upload_error", "Upload failed: the storage answers 403: try again later"),
        ([503] * 3, "upload_error", "Upload failed: the storage answers 503: try again later"),
        ([0, 404], "signed_url_error", "Signed URL could not be created: the storage answers 404: try again later"),
    ],
)
def test_a_storage_that_fails(worker, server, logged, statuses, error_type, message):
    server.failing = statuses
    answer = worker.answer(JOB)
    assert (answer["error"], answer["error_type"]) == (message, error_type)
    assert (answer["path"], answer["backend"]) == ("test/job-1.png", "small")
    assert f"memory after {error_type} on cpu: " in logged()
    assert worker.answer(JOB)["status"] == "success"


@pytest.mark.usefixtures("drawn_before")
def test_a_storage_in_trouble_is_asked_again(worker, server):
    server.failing = [503, 502]
    assert worker.answer(JOB)["status"] == "success"
    assert server.requests[:3] == ["POST /storage/v1/object/headshots/test/job-1.png"] * 3


@pytest.mark.usefixtures("drawn_before")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SUPABASE_KEY": "another"}, "403: Invalid Compact JWS"),
        ({"HEADSHOT_BUCKET": "nowhere"}, "404: Bucket not found"),
        ({"SUPABASE_URL": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_a_storage_that_was_set_wrongly(make_worker, environ, changed, said):
    answer = make_worker(environ | changed).answer(JOB)
    assert answer["error_type"] == "upload_error"
    assert said in answer["error"]
    assert "another" not in str(answer)


def test_an_exception_ends_its_job_only(worker, failing, monkeypatch, logged):
    failing(ValueError("no such thing"))
    answer = worker.answer(JOB)
    assert (answer["error"], answer["error_type"]) == ("Image generation failed: no such thing", "generation_error")
    assert "refresh_worker" not in answer
    said = logged()
    assert "Traceback" in said
    assert "memory after generation_error on cpu: " in said
    monkeypatch.undo()


@pytest.mark.parametrize("error", [MemoryError("no more"), torch.cuda.OutOfMemoryError("no more")])
def test_too_little_memory_for_a_picture(worker, failing, error):
    failing(error)
    answer = worker.answer(JOB)
    assert (answer["error_type"], answer["backend"]) == ("out_of_memory", "small")


def test_a_device_that_failed_is_left_to_a_fresh_worker(worker, failing):
    failing(RuntimeError("CUDA error: device-side assert triggered"))
    assert worker.answer(JOB)["refresh_worker"] is True


@pytest.mark.parametrize("end", [SystemExit(1), KeyboardInterrupt()])
def test_memory_is_freed_even_when_the_process_is_to_end(worker, failing, logged, end):
    failing(end)
    with pytest.raises(type(end)):
        worker.answer(JOB)
    assert "memory after an exception on cpu: " in logged()


def test_progress_is_told_now_and_then(make_worker, environ, model, monkeypatch):
    from headshot import worker

    now = [0.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])

    def generate(prompt, *, progress, **asked):
        for done in range(1, 9):
            now[0] += 0.6
            progress(done, 8)
        raise ValueError("enough")

    monkeypatch.setattr(model, "generate", generate)
    told = []
    make_worker(environ, lambda job, said: told.append(said["step"])).answer(JOB)
    assert told == [2, 4, 6]


def test_nothing_of_a_job_stays(worker):
    """What a job leaves behind adds up over a worker's life."""
    worker.answer(JOB)
    before = held()
    for number in range(2):
        worker.answer(JOB | {"id": str(number)})
    assert held() <= before


def held():
    gc.collect()
    return sum(issubclass(type(one), torch.Tensor | Image.Image) for one in gc.get_objects())
