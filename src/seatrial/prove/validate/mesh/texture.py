"""`mesh.texture`: every texture that it names is there and decodes; at least one, where the profile asks for it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seatrial.prove.limits import IMAGE_BYTES_MAX, JSON_BYTES_MAX
from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.containers.damage import Damaged
from seatrial.prove.validate.containers.glb import Glb, read_glb
from seatrial.prove.validate.containers.ply import read_ply
from seatrial.prove.validate.content import Content
from seatrial.prove.validate.image.picture import read_picture
from seatrial.prove.validate.mesh.geometry import format_of
from seatrial.prove.validate.mesh.obj import read_obj
from seatrial.prove.validate.mesh.parses import READ

_MAPS = ("map_kd", "map_ka", "map_ks", "map_bump", "bump", "norm", "map_d")


def _run(subject: Subject) -> Passed:
    count = 0
    for name, found in _textures(subject):
        count += 1
        content = found if isinstance(found, Content) else Content(name, found)
        try:
            Subject(content, subject.profile, subject.kind).once(read_picture)
        except (Unfit, OSError) as error:
            raise Unfit(f"Mesh has a texture that does not decode: {name}: {error}", texture=name) from None
    if count == 0 and subject.profile.mesh.texture_required:
        raise Unfit("Mesh has no texture")
    if count == 0:
        raise NotApplicable("it names no texture")
    return Passed(f"{count} texture{'s' if count > 1 else ''}, all decode", {"textures": count})


def _textures(subject: Subject) -> Iterator[tuple[str, bytes | Content]]:
    form = format_of(subject)
    if form == "glb":
        yield from _embedded(subject)
    elif form == "obj":
        with subject.content.opened() as stream:
            libraries = read_obj(stream).libraries
        for library in libraries:
            yield from _of_library(subject, library)
    elif form == "ply":
        with subject.content.opened() as stream:
            texture = read_ply(stream, subject.content.size_bytes).texture
        if texture:
            yield texture, _beside(subject, texture)


def _embedded(subject: Subject) -> Iterator[tuple[str, bytes]]:
    with subject.content.opened() as stream:
        glb = read_glb(stream, subject.content.size_bytes)
        images, views = glb.document.get("images", []), glb.document.get("bufferViews", [])
        for at, image in enumerate(images if isinstance(images, list) else []):
            name = f"image {at}"
            start, stop = _view(glb, views, image, name)
            stream.seek(start)
            yield name, stream.read(min(stop - start, IMAGE_BYTES_MAX))


def _view(glb: Glb, views: Any, image: Any, name: str) -> tuple[int, int]:
    try:
        view = views[image["bufferView"]]
        start = glb.binary_start + int(view.get("byteOffset", 0))
        stop = start + int(view["byteLength"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise Unfit(f"Mesh has a texture that is not in the file: {name}", texture=name) from None
    if not glb.binary_start <= start <= stop <= glb.binary_stop:
        raise Unfit(f"Mesh has a texture that goes past the file's end: {name}", texture=name)
    return start, stop


def _of_library(subject: Subject, library: str) -> Iterator[tuple[str, Content]]:
    """The textures of a material file beside an OBJ."""
    with _beside(subject, library).opened() as stream:
        text = stream.read(JSON_BYTES_MAX).decode("utf-8", "replace")
    for line in io.StringIO(text):
        words = line.split()
        if words and words[0].lower() in _MAPS and len(words) > 1:
            yield words[-1], _beside(subject, words[-1])


def _beside(subject: Subject, name: str) -> Content:
    """A file that the mesh names: only beside it or below, never elsewhere.

    Raises:
        Unfit: it is not there, or lies elsewhere.
        NotApplicable: the mesh is in memory, without a folder.
    """
    folder = subject.content.folder
    if folder is None:
        raise NotApplicable(f"it names {name!r}, and is looked at without its folder")
    path = (folder / name.replace("\\", "/")).resolve()
    if Path(name).is_absolute() or not path.is_relative_to(folder.resolve()):
        raise Unfit(f"Mesh names a file outside its folder: {name!r}", file=name)
    if not path.is_file():
        raise Unfit(f"Mesh names a file that is not there: {name!r}", file=name)
    return Content(name, path)


def _guarded(subject: Subject) -> Passed:
    try:
        return _run(subject)
    except Damaged as damage:
        raise Unfit(f"Mesh is damaged: {damage.message}", **damage.measured) from None


CHECK = Check(
    "mesh.texture",
    _guarded,
    "export with the textures inside (GLB), or copy the material and picture files along with the mesh",
    needs=READ,
)
