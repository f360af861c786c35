"""Clients in environments of their own, as their users have them: none of our packages, none of our pins."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

REQUIREMENTS = Path(__file__).with_name("requirements")
KEPT = Path(sys.prefix) / "clients"  # beside our own packages: a second run finds them
INSTALL_SECONDS_MAX = 110


@pytest.fixture(scope="session")
def python_of() -> Callable[[str], Path]:
    """The interpreter of an environment with what requirements/NAME.txt pins; made once, found again by its content."""

    def make(name: str) -> Path:
        pins = REQUIREMENTS / f"{name}.txt"
        folder = KEPT / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
        python = folder / "bin" / "python"
        if not (folder / "complete").exists():
            run = {"check": True, "timeout": INSTALL_SECONDS_MAX}
            subprocess.run([find_uv_bin(), "venv", "--quiet", "--clear", "--python", sys.executable, folder], **run)
            subprocess.run([find_uv_bin(), "pip", "install", "--quiet", "--python", python, "-r", pins], **run)
            (folder / "complete").touch()
        return python

    return make
