"""Adapters at hand: loaded when a request names one, known by their content, the least recently used let go first."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import generator

from studio.errors import BadRequest

if TYPE_CHECKING:
    from generator import Generator

KEPT_MAX = 4  # beside each other in memory, unless STUDIO_ADAPTERS_KEPT says otherwise
KEPT_LIMIT = 64


def kept_max_of(setting: str) -> int:
    """How many adapters `STUDIO_ADAPTERS_KEPT` allows.

    Raises:
        ValueError: it is no whole number from 1 to 64.
    """
    if not setting:
        return KEPT_MAX
    if not setting.isascii() or not setting.isdigit() or not 1 <= int(setting) <= KEPT_LIMIT:
        raise ValueError(f"STUDIO_ADAPTERS_KEPT is {setting!r}; give a whole number from 1 to {KEPT_LIMIT}")
    return int(setting)


class Adapters:
    """Attaches adapters to one model. A file of other bytes is another adapter, whatever it is called."""

    def __init__(self, model: Generator, kept_max: int = KEPT_MAX) -> None:
        self._model = model
        self._kept_max = kept_max

    def ready(self, path: Path) -> str:
        """Have the adapter attached; its name is the SHA-256 of its file.

        Raises:
            BadRequest: `lora_unusable`: it is no adapter, or not one of this backend.
        """
        with path.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()
        if name not in self._model.attached:
            self._make_room()
            self._attach(name, path)
        return name

    def _attach(self, name: str, path: Path) -> None:
        try:
            self._model.attach(name, path)
        except generator.BadAdapter as error:
            valid = f"a LoRA in safetensors for the backend {self._model.backend}, such as the task `train` makes"
            raise BadRequest("lora_unusable", f"The adapter cannot be used: {error}", "lora_path", valid) from error
        print(f"adapter {name[:12]} attached, {len(self._model.attached)} at hand")

    def _make_room(self) -> None:
        attached = self._model.attached
        for name in attached[: max(0, len(attached) + 1 - self._kept_max)]:
            self._model.detach(name)
            print(f"adapter {name[:12]} let go")
