"""Pictures inside a JSON document: data URLs, and base64 whose first bytes are a picture's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seatrial.prove.limits import JSON_DEPTH_MAX

Steps = tuple[str | int, ...]

_SHORTEST_CHARS = 32
# How the base64 of a picture begins: PNG, JPEG, WebP (and other RIFF), GIF.
_BEGINNINGS = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "UklGR": "image/webp", "R0lGOD": "image/gif"}
_EXTENSIONS = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture and where it was: `("output", "images", 0)` has the path `output.images.0`."""

    steps: Steps
    media_type: str
    data: bytes

    @property
    def path(self) -> str:
        """Its place in words."""
        return ".".join(str(step) for step in self.steps)

    @property
    def file_name(self) -> str:
        """What messages call it."""
        return (self.path or "value") + _EXTENSIONS.get(self.media_type, "")


def pictures_in(document: Any, at_most: int) -> Iterator[Embedded]:
    """The first of them, by their places in the document. What is cut off in mid-base64 is given as far as it goes."""
    found = 0
    for steps, text in _texts(document, (), 0):
        picture = _picture(steps, text)
        if picture is not None:
            yield picture
            found += 1
            if found >= at_most:
                return


def _texts(value: Any, path: Steps, depth: int) -> Iterator[tuple[Steps, str]]:
    if isinstance(value, str):
        yield path, value
    elif depth < JSON_DEPTH_MAX and isinstance(value, dict):
        for name, one in value.items():
            yield from _texts(one, (*path, name), depth + 1)
    elif depth < JSON_DEPTH_MAX and isinstance(value, list):
        for number, one in enumerate(value):
            yield from _texts(one, (*path, number), depth + 1)


def _picture(steps: Steps, text: str) -> Embedded | None:
    media_type, encoded = "", text
    if text.startswith("data:image/") and ";base64," in text[:100]:
        head, _, encoded = text.partition(";base64,")
        media_type = head.removeprefix("data:")
    elif len(text) >= _SHORTEST_CHARS:
        media_type = next((one for start, one in _BEGINNINGS.items() if text.startswith(start)), "")
    if not media_type:
        return None
    encoded = encoded.strip()
    try:
        return Embedded(steps, media_type, base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None if not text.startswith("data:") else Embedded(steps, media_type, b"")
