"""Tests of the package alone: its real handler with its default backends, no server."""

import base64
import sys
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(APP / "code"), str(APP)]


@pytest.fixture(scope="session")
def handler():
    """`ask(task, **fields)`: a request as a client sends it, the answer as a server gets it."""
    import inference

    models = inference.model_fn(str(APP))

    def ask(task, **fields):
        return inference.predict_fn({"task": task, **fields}, models)

    return ask


@pytest.fixture(scope="session")
def sample():
    """A file of samples/ as base64."""
    return lambda name: base64.b64encode((APP / "samples" / name).read_bytes()).decode()
