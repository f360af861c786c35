"""`server.json` in the data folder: where the server that owns the folder can be reached."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from seatrial.config.errors import ConfigError

SERVER_FILE = "server.json"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that said it was ready."""

    url: str
    pid: int
    region: str
    public_url: str | None = None  # as clients see it, where that is another


def note_running(data: Path, server: RunningServer) -> None:
    """Say that the server is ready; replaces the note of one that was killed."""
    draft = data / f".{SERVER_FILE}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(server)), encoding="utf-8")
    draft.replace(data / SERVER_FILE)


def clear_running(data: Path) -> None:
    """The server has stopped."""
    (data / SERVER_FILE).unlink(missing_ok=True)


def read_running(data: Path) -> RunningServer:
    """What the data folder's server said.

    Raises:
        ConfigError: no server is running on this folder.
    """
    file = data / SERVER_FILE
    try:
        return RunningServer(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        remedy = f"start one with `seatrial serve --data {data}`"
        raise ConfigError(f"no server is running on {data} (no {file}): {remedy}") from error
