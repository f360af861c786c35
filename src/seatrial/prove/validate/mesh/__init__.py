"""Checks of meshes and point clouds. Needs trimesh, numpy and Pillow (the extra `validate`)."""

from __future__ import annotations

from seatrial.prove.validate.mesh import area, degenerate, faces, gaps, parses, texture, unreferenced, vertices

CHECKS = (
    parses.CHECK,
    vertices.CHECK,
    faces.CHECK,
    area.CHECK,
    degenerate.CHECK,
    unreferenced.CHECK,
    gaps.CHECK,
    texture.CHECK,
)
