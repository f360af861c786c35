"""Tests of the package alone: a small drawn catalogue, trained with the real encoder, no server."""

import sys
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(APP), str(APP / "src"), str(APP / "code")]


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    """A folder of pictures and what is true of them."""
    import catalogue as drawn

    folder = tmp_path_factory.mktemp("catalogue")
    rows = drawn.catalogue(80, 3)
    drawn.write(folder, rows)
    return folder, {row["id"]: row for row in rows}


@pytest.fixture(scope="session")
def archive(catalogue, tmp_path_factory):
    """What training makes of it, before it is packed."""
    from fashion.train import main

    folder = tmp_path_factory.mktemp("model")
    assert main([str(catalogue[0]), "--output", str(folder), "--source", str(APP), "--device", "cpu"]) == 0
    return folder


@pytest.fixture(scope="session")
def model(archive):
    import inference

    return inference.model_fn(str(archive))
