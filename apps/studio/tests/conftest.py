"""Tests of the package alone: its real handler with its default backend, no server."""

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

APP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(APP))
os.environ["OMP_NUM_THREADS"] = "1"  # as in seatrial.toml, and before torch is imported


class Context:
    """What a handler sees of its job: `stop_after` cancels it once it has told its progress so often."""

    def __init__(self, stop_after=None):
        self.told = []
        self._stop_after = stop_after

    def progress(self, told):
        self.told.append(told)

    @property
    def cancelled(self):
        return self._stop_after is not None and len(self.told) >= self._stop_after


@pytest.fixture
def make_context():
    return Context


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="session")
def studio(scratch):
    """The handler, loaded once."""
    from studio.handler import Studio

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(scratch))
        return Studio()


@pytest.fixture(scope="session")
def samples():
    return APP / "samples"


def zipped(members):
    """A zip: names to bytes or pictures."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, png(content) if isinstance(content, Image.Image) else content)
    return buffer.getvalue()


def png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    """Writes a zip of these members."""

    def make(members):
        path = tmp_path / "pictures.zip"
        path.write_bytes(members if isinstance(members, bytes) else zipped(members))
        return path

    return make
