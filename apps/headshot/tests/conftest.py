"""Tests of the package alone: its real worker with the small backend, and a storage that holds clients to its rules."""

import logging
import sys
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(APP), str(Path(__file__).parent)]
KEY = "sb_secret_of_these_tests"
BUCKET = "headshots"


@pytest.fixture
def server(tmp_path):
    from supabase_server import SupabaseServer

    made = SupabaseServer(tmp_path / "storage", KEY, (BUCKET,)).start()
    yield made
    made.close()


@pytest.fixture
def environ(server):
    """What a worker's environment says; steps and pictures are few and small, for the time that tests take."""
    return {"SUPABASE_URL": server.url, "SUPABASE_KEY": KEY, "HEADSHOT_SIDE": "64", "HEADSHOT_STEPS": "1"}


@pytest.fixture(scope="session")
def model():
    import generator

    return generator.load(backend="small", device="cpu")


@pytest.fixture(scope="session")
def drawn(model):
    return model.generate("portrait of a person", steps=1, size=(64, 64))


@pytest.fixture
def drawn_before(model, drawn, monkeypatch):
    """For tests of what comes after the drawing: the same picture, drawn by the model once."""
    monkeypatch.setattr(model, "generate", lambda prompt, **asked: drawn)


@pytest.fixture
def make_worker(model, monkeypatch):
    """A worker of that environment, over one model: the tests of loading have their own."""
    from headshot import worker

    def make(environ, tell=lambda job, told: None):
        monkeypatch.setattr(worker.generator, "load", lambda **asked: model)
        return worker.Worker(environ, tell)

    return make


@pytest.fixture
def logged():
    """What the app logs, as one text: `logged()`."""
    handler = logging.Handler()
    lines = []
    handler.emit = lambda record: lines.append(logging.Formatter("%(message)s").format(record))
    logging.getLogger("headshot").addHandler(handler)
    yield lambda: "\n".join(lines)
    logging.getLogger("headshot").removeHandler(handler)


@pytest.fixture
def worker(make_worker, environ):
    return make_worker(environ)
