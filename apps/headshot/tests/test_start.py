"""What a worker needs to begin, and what becomes of one that cannot."""

import os
import weakref

import pytest
import torch
from conftest import KEY
from headshot import memory
from headshot.errors import NotReady
from headshot.worker import Worker
from problems import PROMPT

GOOD = {"SUPABASE_URL": "https://project.supabase.co", "SUPABASE_KEY": KEY}
NO_GPU = "CUDA is not available. This worker requires a GPU."
JOB = {"id": "job", "input": {"prompt": PROMPT, "user_id": "test"}}
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def silent(job, told):
    pass


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"SUPABASE_URL": ""}, "SUPABASE_URL environment variable is required"),
        ({"SUPABASE_KEY": " "}, "SUPABASE_KEY environment variable is required"),
        ({"SUPABASE_URL": "project.supabase.co"}, "SUPABASE_URL is no address of a server"),
        ({"HEADSHOT_STORAGE": "disk"}, "HEADSHOT_STORAGE is 'disk'"),
        ({"HEADSHOT_BACKEND": "best"}, "HEADSHOT_BACKEND is 'best'"),
        ({"HEADSHOT_DEVICE": "gpu"}, "HEADSHOT_DEVICE is 'gpu'"),
        ({"HEADSHOT_SIDE": "-1"}, "HEADSHOT_SIDE is '-1'"),
        ({"HEADSHOT_URL_SECONDS": "604801"}, "HEADSHOT_URL_SECONDS is '604801'"),
        ({"HEADSHOT_ON_FAILED_START": "hope"}, "HEADSHOT_ON_FAILED_START is 'hope'"),
        ({"HEADSHOT_MEMORY_BYTES_MIN": str(2**50)}, "Insufficient memory: "),
        pytest.param({"HEADSHOT_DEVICE": "cuda"}, NO_GPU, marks=needs_no_gpu),
        ({"HEADSHOT_BACKEND": "sdxl", "HEADSHOT_DEVICE": "cpu", "HEADSHOT_MEMORY_BYTES_MIN": "1"}, "sdxl"),
    ],
)
def test_it_lives_and_tells_every_job_why_it_cannot_work(logged, changed, message):
    worker = Worker(GOOD | changed, silent)
    for job in (JOB, {"id": "job", "input": {}}, JOB):
        answer = worker.answer(job)
        assert answer["error_type"] == "initialization_error"
        assert message in answer["error"]
        assert answer["remedy"]
        assert (answer["backend"], answer["pid"]) == (changed.get("HEADSHOT_BACKEND", "small"), os.getpid())
    said = logged()
    assert f"not ready: {answer['error']}" in said
    assert said.count("memory after initialization_error: nothing is loaded") == 3


@needs_no_gpu
def test_it_exits_where_it_is_told_to():
    environ = GOOD | {"HEADSHOT_DEVICE": "cuda", "HEADSHOT_ON_FAILED_START": "exit"}
    with pytest.raises(NotReady, match=NO_GPU):
        Worker(environ, silent)


def test_anything_else_is_an_initialization_error_too(monkeypatch):
    from headshot import worker

    def load(**asked):
        raise OSError("the disk is gone")

    monkeypatch.setattr(worker.generator, "load", load)
    answer = Worker(GOOD, silent).answer(JOB)
    assert answer["error_type"] == "initialization_error"
    assert answer["error"] == "Unexpected error during worker initialization: the disk is gone"


@pytest.mark.parametrize("then", ["answer", "exit"])
def test_a_failed_load_keeps_nothing_of_what_it_had_loaded(monkeypatch, logged, then):
    from headshot import worker

    class Weights:
        pass

    half_loaded = []

    def load(**asked):
        weights = Weights()
        half_loaded.append(weakref.ref(weights))
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(worker.generator, "load", load)
    try:
        kept = Worker(GOOD | {"HEADSHOT_ON_FAILED_START": then}, silent)
    except NotReady as error:
        kept = str(error)
    assert (then == "exit") == isinstance(kept, str)
    assert half_loaded[0]() is None
    said = logged()
    assert "not ready: Unexpected error during worker initialization: CUDA out of memory" in said
    assert "memory after a failed start: nothing is loaded, " in said


def test_s3_needs_credentials(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    answer = Worker({"HEADSHOT_STORAGE": "s3"}, silent).answer(JOB)
    assert answer["error"] == "AWS_ACCESS_KEY_ID environment variable is required"


def test_a_containers_limit_counts(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("3000\n")
    (tmp_path / "current").write_text("1000\n")
    (tmp_path / "none").write_text("max\n")
    pairs = ((tmp_path / "none", tmp_path / "current"), (tmp_path / "max", tmp_path / "current"))
    monkeypatch.setattr(memory, "_CONTAINER", pairs)
    assert memory.free_bytes("cpu") == 2000
