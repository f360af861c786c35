"""Good and damaged meshes: GLB, PLY, OBJ and STL as trimesh writes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trimesh
from PIL import Image

from benchmarks.outputs import scenes
from benchmarks.outputs.item import Item, Maker, Random

FORMATS = ("glb", "ply", "ply-ascii", "obj", "stl")
INDEXED = ("glb", "ply", "ply-ascii", "obj")


def shape(random: Random) -> trimesh.Trimesh:
    """A closed body or an open relief of some hundred faces."""
    kind = random.integers(0, 5)
    if kind == 0:
        made = trimesh.creation.icosphere(subdivisions=int(random.integers(1, 4)), radius=random.uniform(0.01, 100))
    elif kind == 1:
        made = trimesh.creation.box(extents=random.uniform(0.1, 5, 3))
    elif kind == 2:
        made = trimesh.creation.torus(2, random.uniform(0.2, 1.0))
    elif kind == 3:
        made = trimesh.creation.cylinder(random.uniform(0.1, 3), height=random.uniform(0.01, 10))
    else:
        return relief(random)
    made.vertices += random.uniform(-50, 50, 3)
    return made


def relief(random: Random) -> trimesh.Trimesh:
    """A height field, as reconstruction from a picture gives."""
    rows, columns = (int(side) for side in random.integers(8, 40, 2))
    heights = scenes.field(random, rows, columns, 1.6)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    corners = np.arange(rows * columns).reshape(rows, columns)
    first, second, third, fourth = corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((first, second, third), (second, fourth, third))])
    return trimesh.Trimesh(np.stack([x, y, heights * 3], -1).reshape(-1, 3), faces, process=False)


def written(mesh: trimesh.Trimesh | trimesh.PointCloud, form: str) -> bytes:
    """The file."""
    options = {"encoding": "ascii"} if form == "ply-ascii" else {}
    data = mesh.export(file_type=form.partition("-")[0], **options)
    return data.encode() if isinstance(data, str) else data


def item(mesh: trimesh.Trimesh | trimesh.PointCloud, form: str, damage: str = "") -> Item:
    kind = type(mesh).__name__
    return Item(f"mesh.{form.partition('-')[0]}", "mesh", written(mesh, form), f"{kind}, {form}", damage)


def good(random: Random) -> Item:
    return item(shape(random), str(random.choice(FORMATS)))


def good_textured(random: Random) -> Item:
    """A GLB with a picture on it, under a profile that asks for one."""
    data = written(textured(random), "glb")
    made = Item("mesh.glb", "mesh", data, "textured GLB")
    return replace(made, profile=replace(made.profile, mesh=replace(made.profile.mesh, texture_required=True)))


def textured(random: Random) -> trimesh.Trimesh:
    mesh = relief(random)
    mesh.visual = trimesh.visual.TextureVisuals(
        uv=mesh.vertices[:, :2] / mesh.vertices[:, :2].max(axis=0),
        image=Image.fromarray(scenes.texture(random, 64, 64)),
    )
    return mesh


def good_points(random: Random) -> Item:
    """A point cloud."""
    points = random.normal(size=(int(random.integers(10, 2000)), 3))
    return item(trimesh.PointCloud(points), str(random.choice(["ply", "glb"])))


def cut(random: Random) -> Item:
    """The file ends at any byte."""
    whole = good(random)
    return replace(whole, data=whole.data[: int(random.integers(1, len(whole.data)))], damage="cut at a byte")


def not_finite(random: Random) -> Item:
    """One vertex, or many, NaN or infinite."""
    mesh = shape(random)
    vertices = mesh.vertices.copy()
    which = random.choice(len(vertices), int(random.integers(1, len(vertices))), replace=False)
    vertices[which, random.integers(0, 3)] = random.choice([np.nan, np.inf, -np.inf])
    return item(trimesh.Trimesh(vertices, mesh.faces, process=False), str(random.choice(INDEXED)), "NaN vertices")


def out_of_range(random: Random) -> Item:
    """A face names a vertex that is not there."""
    mesh = shape(random)
    faces = mesh.faces.copy()
    faces[random.integers(0, len(faces)), random.integers(0, 3)] = len(mesh.vertices) + random.integers(0, 1000)
    made = trimesh.Trimesh(mesh.vertices, faces, process=False)
    return item(made, str(random.choice(INDEXED)), "face out of range")


def collapsed(random: Random) -> Item:
    """All in one point, or on one line."""
    mesh = shape(random)
    direction = random.choice([0.0, 1.0]) * random.normal(size=3)
    vertices = random.normal(size=(len(mesh.vertices), 1)) * direction
    form = str(random.choice(INDEXED))
    return item(trimesh.Trimesh(vertices, mesh.faces, process=False), form, "no area")


def degenerate(random: Random) -> Item:
    """Many faces name a vertex twice."""
    mesh = shape(random)
    faces = mesh.faces.copy()
    which = random.random(len(faces)) < random.uniform(0.2, 0.8)
    which[:1] = True
    faces[which, 2] = faces[which, 1]
    return item(trimesh.Trimesh(mesh.vertices, faces, process=False), str(random.choice(INDEXED)), "degenerate faces")


def faces_missing(random: Random) -> Item:
    """Half of the faces were never written."""
    mesh = shape(random)
    kept = max(1, int(len(mesh.faces) * random.uniform(0.05, 0.6)))
    form = str(random.choice(INDEXED))
    return item(trimesh.Trimesh(mesh.vertices, mesh.faces[:kept], process=False), form, "faces missing")


def empty(random: Random) -> Item:
    """A well-formed file without a surface."""
    kind = random.integers(0, 3)
    if kind == 0:
        return Item("mesh.obj", "mesh", b"# empty\n", "no vertices", "empty")
    if kind == 1:
        header = b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nproperty float y\nproperty float z\n"
        return Item("mesh.ply", "mesh", header + b"end_header\n", "no vertices", "empty")
    return Item("mesh.obj", "mesh", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces", "empty")


def texture_missing(random: Random) -> Item:
    """No texture where one is asked for, or one that does not decode."""
    whole = good_textured(random)
    if random.random() < 0.5:
        return replace(whole, data=written(relief(random), "glb"), damage="texture missing")
    start = whole.data.find(b"\x89PNG")
    data = whole.data[: start + 60] + bytes(200) + whole.data[start + 260 :]
    return replace(whole, data=data, damage="texture damaged")


GOOD: dict[str, Maker] = {"any": good, "textured": good_textured, "again": good, "points": good_points, "more": good}
DAMAGED: dict[str, Maker] = {
    "cut at a byte": cut,
    "NaN vertices": not_finite,
    "face out of range": out_of_range,
    "no area": collapsed,
    "degenerate faces": degenerate,
    "cut at a byte, again": cut,
    "faces missing": faces_missing,
    "empty": empty,
    "texture missing": texture_missing,
}
