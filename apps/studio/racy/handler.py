"""The studio with the race of the field report: pictures leave by way of a file that every worker writes in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from studio.handler import Studio

OUTPUT = Path("/dev/shm/studio-racy.png")  # the folder that the workers of a machine share


class Racy(Studio):
    """Alone it is right: the file is whole before it is read. Beside another worker it is whoever's it was last."""

    def _file(self, image: Image.Image, facts: dict[str, Any]) -> bytes:
        image.save(OUTPUT, "PNG")
        return OUTPUT.read_bytes()
