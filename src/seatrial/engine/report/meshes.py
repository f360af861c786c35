"""Meshes of other formats as binary glTF, which the page draws. Needs trimesh (the extra `validate`)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from seatrial.domain.limits import REPORT_ITEM_BYTES_MAX
from seatrial.prove.validate.containers.ply import read_ply
from seatrial.prove.validate.containers.stl import check_stl

GLB = "model/gltf-binary"
DRAWN_FORMS: Mapping[str, str] = {  # by media type; the words are trimesh's
    "application/x-ply": "ply",
    "model/ply": "ply",
    "model/obj": "obj",
    "model/stl": "stl",
}

_CHECKED: Mapping[str, Callable[[BinaryIO, int], object]] = {"ply": read_ply, "stl": check_stl}


def drawable(content: bytes, form: str) -> bytes | str:
    """A mesh or cloud of points as binary glTF; or why it cannot be drawn. Blocking."""
    try:
        import trimesh  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return "not kept: to draw it the server needs seatrial[validate]"
    if len(content) > REPORT_ITEM_BYTES_MAX:
        return "not kept: too large"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if form in _CHECKED:  # a header that says too much costs nothing
                _CHECKED[form](io.BytesIO(content), len(content))
            loaded: Any = trimesh.load(io.BytesIO(content), file_type=form, process=False)
            scene: Any = trimesh.Scene(loaded)
            made = scene.export(file_type="glb")
    except Exception:  # noqa: BLE001 - trimesh's readers raise whatever a broken file makes them raise
        return f"not kept: it is no {form.upper()} that can be drawn"
    return bytes(made) if len(made) <= REPORT_ITEM_BYTES_MAX else "not kept: too large"
