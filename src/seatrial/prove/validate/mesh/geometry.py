"""A mesh's vertices and faces, read once: GLB, PLY and STL by trimesh, OBJ by us (trimesh reads past its faults)."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from seatrial.prove.validate.check import NotApplicable, Subject, Unfit
from seatrial.prove.validate.containers.damage import Damaged
from seatrial.prove.validate.containers.glb import read_glb
from seatrial.prove.validate.containers.ply import read_ply
from seatrial.prove.validate.containers.stl import check_stl
from seatrial.prove.validate.mesh.obj import read_obj

FORMATS = ("glb", "ply", "obj", "stl")
_BEGINNINGS = ((b"glTF", "glb"), (b"ply", "ply"))


@dataclass(frozen=True, slots=True)
class Part:
    """One geometry. `faces` holds indices of `vertices`; None: a point cloud or lines."""

    name: str
    vertices: NDArray[np.float64]  # (n, 3), in the file's unit
    faces: NDArray[np.int64] | None  # (m, 3)


@dataclass(frozen=True, slots=True)
class Geometry:
    """All parts of a file. `doubt` tells of something that is readable but odd."""

    format: str
    parts: tuple[Part, ...]
    doubt: str = ""


def read_geometry(subject: Subject) -> Geometry:
    """All vertices and faces.

    Raises:
        Unfit: the structure does not hold, or it does not parse.
        NotApplicable: compressed so that it cannot be read here.
    """
    form = format_of(subject)
    try:
        if form == "obj":
            with subject.content.opened() as stream:
                text = read_obj(stream)
            faces = text.faces if len(text.faces) else None
            return Geometry(form, (Part(subject.content.short_name, text.vertices, faces),), text.doubt)
        _check_structure(subject, form)
    except Damaged as damage:
        raise Unfit(f"{form.upper()} is damaged: {damage.message}", **damage.measured) from None
    return Geometry(form, _loaded(subject, form))


def format_of(subject: Subject) -> str:
    """glb, ply, obj or stl, by the first bytes, else by the name.

    Raises:
        Unfit: none of them.
    """
    beginning = subject.content.beginning()
    by_bytes = next((form for mark, form in _BEGINNINGS if beginning.startswith(mark)), None)
    form = by_bytes or subject.content.suffix.removeprefix(".")
    if form not in FORMATS:
        raise Unfit(f"Mesh is of no known format: {subject.content.short_name}")
    return form


def _check_structure(subject: Subject, form: str) -> None:
    size = subject.content.size_bytes
    with subject.content.opened() as stream:
        if form == "ply":
            read_ply(stream, size)
        elif form == "stl":
            check_stl(stream, size)
        else:
            compression = read_glb(stream, size).compression
            if compression is not None:
                raise NotApplicable(f"the structure is whole; its geometry is compressed ({compression})")


def _loaded(subject: Subject, form: str) -> tuple[Part, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd shows in the figures
        try:
            loaded = trimesh.load(io.BytesIO(subject.content.whole()), file_type=form, process=False)
            shapes = loaded.geometry if isinstance(loaded, trimesh.Scene) else {subject.content.short_name: loaded}
            return tuple(_part(name, shape) for name, shape in shapes.items())
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - trimesh's readers raise whatever a broken file makes them raise
            raise Unfit(f"{form.upper()} does not parse: {str(error) or type(error).__name__}") from None


def _part(name: str, shape: Any) -> Part:
    vertices = np.asarray(shape.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(shape.faces, dtype=np.int64).reshape(-1, 3) if isinstance(shape, trimesh.Trimesh) else None
    return Part(name, vertices, faces)
