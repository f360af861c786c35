"""Keeps what the samples were and what was answered, for the page: within bounds, the rest by its hash alone."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seatrial.domain.limits import (
    IMAGE_PIXELS_MAX_DEFAULT,
    JSON_OUTPUT_BYTES_MAX,
    REPORT_ITEM_BYTES_MAX,
    REPORT_KEPT_BYTES_MAX,
    REPORT_PREVIEW_PIXELS,
    REPORT_SAMPLES_MAX,
    REPORT_TEXT_BYTES_MAX,
)
from seatrial.domain.media_types import BEGINNING_BYTES, UNSPECIFIC, essence, is_json, type_by_beginning
from seatrial.domain.objects import ObjectName
from seatrial.engine.images import HAS_PILLOW
from seatrial.engine.report.meshes import DRAWN_FORMS, GLB, drawable
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectStore

if TYPE_CHECKING:
    from PIL.Image import Image

_PICTURES = frozenset(
    {"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp", "image/svg+xml"}
)
_PREVIEWED = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]  # Pillow's readers that start no programs
NO_ROOM = "not kept: the report is full"


@dataclass(frozen=True, slots=True)
class Item:
    """One input or output of a sample. `content` is an object, or a file of the package."""

    role: str  # "input" or "output"
    name: str
    media_type: str
    content: ObjectName | Path


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample that passed: what it was, what was answered, and how long its handler took."""

    task: str
    sample: str
    job_id: str
    seconds: float
    items: Sequence[Item]


class Keeping:
    """Copies items below `prefix` until the bounds of one report are reached."""

    def __init__(self, objects: ObjectStore, prefix: ObjectName) -> None:
        self._objects = objects
        self._prefix = prefix
        self._left_bytes = REPORT_KEPT_BYTES_MAX
        self._count = 0

    async def keep(self, samples: Sequence[Shown]) -> list[dict[str, Any]]:
        """The samples as the report has them."""
        said = []
        for one in samples[:REPORT_SAMPLES_MAX]:
            items = [await self._item(item) for item in one.items]
            said.append(
                {
                    "task": one.task,
                    "sample": one.sample,
                    "job_id": one.job_id,
                    "seconds": round(one.seconds, 3),
                    "items": items,
                }
            )
        return said

    async def _item(self, item: Item) -> dict[str, Any]:
        said: dict[str, Any] = {"role": item.role, "name": item.name, "media_type": item.media_type}
        try:
            size_bytes = await self._size_bytes(item.content)
            if size_bytes > JSON_OUTPUT_BYTES_MAX:
                return said | {"size_bytes": size_bytes, "note": "not kept: too large"}
            content = await self._content(item.content)
        except (NoSuchBucket, NoSuchObject, OSError):
            return said | {"note": "not kept: it was gone when the report was made"}
        said |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return said | await self._copied(_kind(item.media_type, content), content)

    async def _copied(self, kind: str, content: bytes) -> dict[str, Any]:
        picture = kind.startswith("image/")
        text = kind.startswith("text/")
        viewable = kind in _PICTURES or text or is_json(kind) or kind == GLB or kind.startswith(("video/", "audio/"))
        if viewable and len(content) <= (REPORT_TEXT_BYTES_MAX if text else REPORT_ITEM_BYTES_MAX):
            return await self._put(kind, content)
        if text or is_json(kind):
            note = f"its first {REPORT_TEXT_BYTES_MAX:,} bytes"
            return await self._put("text/plain", content[:REPORT_TEXT_BYTES_MAX], note)
        if picture and (preview := await asyncio.to_thread(_preview, content)):
            return await self._put("image/png", preview, f"a preview of at most {REPORT_PREVIEW_PIXELS} pixels a side")
        if form := DRAWN_FORMS.get(kind):
            drawn = await asyncio.to_thread(drawable, content, form)
            return (
                {"note": drawn}
                if isinstance(drawn, str)
                else await self._put(GLB, drawn, f"drawn of its {form.upper()}")
            )
        return {"note": "not kept: too large" if viewable else f"not kept: there is no view of {kind}"}

    async def _put(self, media_type: str, content: bytes, note: str | None = None) -> dict[str, Any]:
        if len(content) > self._left_bytes:
            return {"note": NO_ROOM}
        self._left_bytes -= len(content)
        self._count += 1
        name = ObjectName(self._prefix.bucket, f"{self._prefix.key}{self._count}")
        await self._objects.reveal(await self._objects.stage(content, len(content)), name, media_type, {})
        kept = {"key": name.key, "media_type": media_type, "sha256": hashlib.sha256(content).hexdigest()}
        return {"kept": kept} | ({"note": note} if note else {})

    async def _size_bytes(self, content: ObjectName | Path) -> int:
        if isinstance(content, Path):
            return (await asyncio.to_thread(content.stat)).st_size
        return (await self._objects.head(content)).sealed.size_bytes

    async def _content(self, content: ObjectName | Path) -> bytes:
        if isinstance(content, Path):
            return await asyncio.to_thread(content.read_bytes)
        reading = await self._objects.read(content)
        return b"".join([chunk async for chunk in reading.chunks])


def _kind(media_type: str, content: bytes) -> str:
    """The media type; what the bytes themselves say where it says nothing, or where they are a mesh."""
    said, found = essence(media_type), type_by_beginning(content[:BEGINNING_BYTES])
    return found if found is not None and (said in UNSPECIFIC or found == GLB) else said


def _in_bytes(image: Image) -> Image:
    """With 8 bits a band; of deeper pictures the darkest value becomes black and the lightest white."""
    if image.mode.startswith(("I", "F")):
        deep = image.convert("F")
        low, high = cast("tuple[float, float]", deep.getextrema())
        scale = 255 / (high - low or 1)
        return deep.point(lambda value: value * scale - low * scale).convert("L")
    return image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")


def _preview(content: bytes) -> bytes | None:
    """A smaller PNG of a picture that no browser shows, or that is too large; None: it cannot be made. Blocking."""
    if not HAS_PILLOW:
        return None
    from PIL import Image as pillow  # noqa: N813, PLC0415 - an extra

    try:
        with pillow.open(io.BytesIO(content), formats=_PREVIEWED) as image:
            if image.width * image.height > IMAGE_PIXELS_MAX_DEFAULT:
                return None
            image.thumbnail((REPORT_PREVIEW_PIXELS, REPORT_PREVIEW_PIXELS))
            small = _in_bytes(image)
    except Exception:  # noqa: BLE001 - what cannot be decoded has no preview
        return None
    made = io.BytesIO()
    small.save(made, "PNG")
    return made.getvalue()
