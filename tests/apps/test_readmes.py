"""What an app's README says to type works as it stands, in the repository's folder and with nothing else running."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.apps.conftest import APPS, REPOSITORY, python_of

MARKED = re.compile(r"<!-- test: folder -->\n```sh\n(.*?)```", re.DOTALL)
BLOCKS = [
    pytest.param(path.parent.name, code, id=f"{path.parent.name}-{number}")
    for path in sorted(APPS.glob("*/README.md"))
    for number, code in enumerate(MARKED.findall(path.read_text()), 1)
]
SET_UP = re.compile(r"^(make setup && |scripts/setup-app .*\n)", re.MULTILINE)  # the environments are there already
KNOWN = ("PATH", "HOME", "LANG", "TMPDIR")

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]  # a server, a model and whole trials each


@pytest.fixture
def folder(app: str, tmp_path: Path) -> Path:
    """A copy of the repository, with the environments of this one."""
    python_of(app)
    copy = tmp_path / "seatrial"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, copy / name, follow_symlinks=False)
    for environment in (REPOSITORY / ".venv", *APPS.glob(".venv"), *APPS.glob("*/.venv")):
        (copy / environment.relative_to(REPOSITORY)).symlink_to(environment)
    return copy


@pytest.mark.parametrize(("app", "code"), BLOCKS)
def test_a_block_runs(code: str, folder: Path) -> None:
    ended = "trap 'kill $(jobs -p); wait' EXIT\n"  # the server that the block leaves running
    environment = {"SEATRIAL_PORT": "0"} | {name: os.environ[name] for name in KNOWN if name in os.environ}
    command = ["bash", "-ec", ended + SET_UP.sub("", code)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
