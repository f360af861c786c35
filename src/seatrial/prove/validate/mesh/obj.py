"""Wavefront OBJ, line by line, so that a file cut short is noticed (Wavefront, Object Files, appendix B1)."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from seatrial.prove.limits import KIB
from seatrial.prove.validate.containers.damage import Damaged

LINE_BYTES_MAX = 64 * KIB
# Curves, surfaces, groups and display attributes: read past.
_KNOWN = frozenset(
    {"vt", "vn", "vp", "p", "l", "curv", "curv2", "surf", "deg", "bmat", "step", "cstype", "parm", "trim", "hole"}
    | {"scrv", "sp", "end", "con", "g", "s", "mg", "o", "bevel", "c_interp", "d_interp", "lod", "usemtl", "mtllib"}
    | {"shadow_obj", "trace_obj", "ctech", "stech", "maplib", "usemap", "call", "csh"}
)


@dataclass(frozen=True, slots=True)
class ObjText:
    """What an OBJ holds. Faces of more than three corners are cut into triangles."""

    vertices: NDArray[np.float64]  # (n, 3)
    faces: NDArray[np.int64]  # (m, 3)
    libraries: tuple[str, ...]  # the material files that it names
    doubt: str


def read_obj(stream: BinaryIO) -> ObjText:
    """All vertices and faces.

    Raises:
        Damaged: a line that is none of OBJ's, with its number.
    """
    vertices, faces, libraries = array("d"), array("q"), list[str]()
    line, number, corners = b"\n", 0, 0
    while text := stream.readline(LINE_BYTES_MAX):
        line, number = text, number + 1
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        if words[0] == b"v":
            vertices.extend(_numbers(words[1:4], number, "vertex"))
        elif words[0] == b"f":
            before, corners = corners, len(words) - 1
            _add_face(faces, words[1:], len(vertices) // 3, number)
            if not line.endswith(b"\n") and corners < before:
                raise Damaged(f"the file ends inside the face of line {number:,}", line=number)
        elif words[0] == b"mtllib":
            libraries.append(line.decode("utf-8", "replace").split(maxsplit=1)[-1].strip())
        elif words[0].decode("latin-1") not in _KNOWN:
            raise Damaged(
                f"line {number:,} begins with {words[0][:20].decode('latin-1')!r}, no word of OBJ", line=number
            )
    cut = not line.endswith((b"\n", b"\r"))
    doubt = f"the last line ({number:,}) has no end of line: the file may be cut short" if cut else ""
    points = np.frombuffer(vertices, dtype=np.float64).reshape(-1, 3)
    return ObjText(points, np.frombuffer(faces, dtype=np.int64).reshape(-1, 3), tuple(libraries), doubt)


def _numbers(words: list[bytes], number: int, what: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise Damaged(f"line {number:,} is no {what}", line=number) from None
    if len(values) != 3:
        raise Damaged(f"the {what} of line {number:,} has {len(values)} coordinates", line=number)
    return values


def _add_face(faces: array[int], words: list[bytes], vertices: int, number: int) -> None:
    """Indices count from 1; negative ones from the last vertex backwards."""
    try:
        corners = [int(word.partition(b"/")[0]) for word in words]
        for word in words:
            if word.endswith(b"/") and not word.endswith(b"//"):
                raise ValueError
    except ValueError:
        raise Damaged(f"line {number:,} is no face", line=number) from None
    if len(corners) < 3:
        raise Damaged(f"the face of line {number:,} has {len(corners)} corners", line=number)
    absolute = [corner - 1 if corner > 0 else vertices + corner for corner in corners]
    for second, third in pairwise(absolute[1:]):
        faces.extend((absolute[0], second, third))
