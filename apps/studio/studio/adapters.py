"""Adapters at hand: loaded when a request names one, known by their content, the least recently used let go first."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import generator

from studio.errors import BadRequest

if TYPE_CHECKING:
    from generator import Generator

KEPT_MAX = 4  # beside each other in memory


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
        for name in self._model.attached[: len(self._model.attached) - self._kept_max + 1]:
            self._model.detach(name)
            print(f"adapter {name[:12]} let go")
