"""The apps on a real server, each in its own environment over the one torch that they share."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
APPS = REPOSITORY / "apps"


@cache
def python_of(app: str) -> str:
    """The interpreter of an app's environment; `make test-apps` makes it, and so does this."""
    environment = APPS / app / ".venv"
    if not (environment / ".ready").is_file():
        subprocess.run([REPOSITORY / "scripts" / "setup-app", app], check=True, timeout=900)
    return str(environment / "bin" / "python")


@pytest.fixture
def step(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], Any]]:
    """Times the steps of a story and prints them when it ends."""
    took: list[tuple[str, float]] = []

    @contextmanager
    def timed(words: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        took.append((words, time.monotonic() - began))

    yield timed
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"  {seconds:6.1f} s  {words}\n" for words, seconds in took))
