"""A solid as files: GLB with its texture, PLY as a cloud of coloured points, and its figures."""

import io

import numpy as np
import trimesh
from PIL import Image

from gen3d.inflation import Solid

POINTS = {"fast": 20_000, "balanced": 50_000, "high": 100_000}
PLACE, COLOUR = ("x", "y", "z", "nx", "ny", "nz"), ("red", "green", "blue")
SEED = 3  # of the points that are drawn from the surface: the same picture gives the same cloud


def glb(solid: Solid) -> bytes:
    """The mesh with its texture as binary glTF 2.0; matt, and lit from where its viewer lights it."""
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(solid.texture), metallicFactor=0.0, roughnessFactor=0.9
    )
    visual = trimesh.visual.TextureVisuals(uv=solid.uv, material=material)
    mesh = trimesh.Trimesh(solid.vertices, solid.faces, visual=visual, process=False)
    return mesh.export(file_type="glb", include_normals=True)


def ply(solid: Solid, quality: str) -> bytes:
    """Points drawn evenly from the surface, with normals and colours, as binary little-endian PLY."""
    mesh = trimesh.Trimesh(solid.vertices, solid.faces, process=False)
    points, faces = trimesh.sample.sample_surface(mesh, POINTS[quality], seed=SEED)
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[faces], points)
    uv = np.einsum("ij,ijk->ik", weights, solid.uv[solid.faces[faces]])
    table = np.empty(len(points), dtype=[(one, "<f4") for one in PLACE] + [(one, "u1") for one in COLOUR])
    for axis in range(3):
        table["xyz"[axis]] = points[:, axis]
        table[f"n{'xyz'[axis]}"] = mesh.face_normals[faces, axis]
    colours = _colours(solid.texture, uv)
    for channel, colour in enumerate(COLOUR):
        table[colour] = colours[:, channel]
    kinds = {"<f4": "float", "|u1": "uchar"}
    lines = [f"property {kinds[kind]} {name}" for name, kind in table.dtype.descr]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}", *lines, "end_header", ""]
    return "\n".join(head).encode() + table.tobytes()


def figures(solid: Solid, quality: str) -> dict:
    """Counts, bounds and whether the mesh is closed, measured on the mesh itself."""
    mesh = trimesh.Trimesh(solid.vertices, solid.faces, process=False)
    low, high = mesh.bounds
    return {
        "vertex_count": len(mesh.vertices),
        "face_count": len(mesh.faces),
        "point_count": POINTS[quality],
        "watertight": bool(mesh.is_watertight),
        "volume": round(float(mesh.volume), 6),
        "bounds": [[round(float(one), 5) for one in corner] for corner in (low, high)],
        "texture_size": [int(side) for side in solid.texture.shape[1::-1]],
    }


def npz(embedding: np.ndarray) -> bytes:
    """The embedding as the array `embedding` of an `.npz`."""
    buffer = io.BytesIO()
    np.savez(buffer, embedding=embedding)
    return buffer.getvalue()


def _colours(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = texture.shape[:2]
    column = (uv[:, 0] * width).astype(np.int64).clip(0, width - 1)
    row = ((1 - uv[:, 1]) * height).astype(np.int64).clip(0, height - 1)
    return texture[row, column]
