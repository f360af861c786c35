"""A live studio at ASYNC_MINER_URL (`make up` starts one), a receiver of callbacks, and adapters to ask for."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from callback_server import SECRET, callback_server
from client import MINER_URL, StudioClient

from seatrial.prove.callbacks import CannotListen, Receiver

PICTURES = Path(__file__).resolve().parents[3] / "samples" / "pictures.zip"
TRAINING_STEPS = int(os.environ.get("STRESS_TEST_TRAINING_STEPS", "8"))
SEQUENTIAL = int(os.environ.get("STRESS_TEST_SEQUENTIAL", "5"))


@pytest.fixture(scope="session")
def miner() -> Iterator[StudioClient]:
    """A client of the server, which is there and takes jobs."""
    client = StudioClient()
    with client.http:
        try:
            health = client.health()
        except (httpx.HTTPError, ValueError) as error:
            pytest.fail(f"Miner server unavailable: {MINER_URL} ({error}); `make up` starts one", pytrace=False)
        if health.get("status") != "healthy":
            pytest.fail(f"Miner server unavailable: {MINER_URL} says {health}; `make logs` says more", pytrace=False)
        yield client


@pytest.fixture(scope="session")
def secret() -> str:
    """The word that callbacks have to carry."""
    return SECRET or secrets.token_urlsafe(16)


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory, secret: str) -> Iterator[Receiver]:
    """Hears the callbacks of this run."""
    try:
        with callback_server(tmp_path_factory.mktemp("callbacks"), secret) as running:
            yield running
    except CannotListen as error:
        pytest.fail(f"Callback server unavailable: {error}; set ASYNC_CALLBACK_BASE_URL", pytrace=False)


@pytest.fixture(scope="session")
def training() -> dict[str, object]:
    """The parameters of a short training."""
    pictures = base64.b64encode(PICTURES.read_bytes()).decode()
    return {"subject": "lighthouse", "pictures": pictures, "steps": TRAINING_STEPS}


@pytest.fixture(scope="session")
def adapters(miner: StudioClient, training: dict[str, object]) -> list[str]:
    """As many different adapters as sequential jobs: those of STRESS_TEST_LORAS, else newly trained ones."""
    given = os.environ.get("STRESS_TEST_LORAS", "")
    if given:
        return given.split(",")
    jobs = [miner.train(**training, seed=seed) for seed in range(1, SEQUENTIAL + 1)]
    for job in jobs:
        status = miner.ended(job, "training")
        assert status["status"] == "completed", status
    return [miner.result(job).json()["adapter"]["uri"] for job in jobs]
