"""Pictures of a GLB from several sides: `python render.py model.glb turns.png`. Points of the surface, nearest wins."""

import argparse
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

SIDE = 320
POINTS = 900_000
LIGHT = np.array([-0.4, 0.5, 0.77])


def turn(degrees_around: float, degrees_down: float) -> np.ndarray:
    around, down = np.radians(degrees_around), np.radians(degrees_down)
    y = np.array([[np.cos(around), 0, np.sin(around)], [0, 1, 0], [-np.sin(around), 0, np.cos(around)]])
    x = np.array([[1, 0, 0], [0, np.cos(down), -np.sin(down)], [0, np.sin(down), np.cos(down)]])
    return x @ y


def render(mesh: trimesh.Trimesh, rotation: np.ndarray) -> Image.Image:
    points, faces = trimesh.sample.sample_surface(mesh, POINTS, seed=1)
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[faces], points)
    uv = np.einsum("ij,ijk->ik", weights, mesh.visual.uv[mesh.faces[faces]])
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    rows = ((1 - uv[:, 1]) * texture.shape[0]).astype(int).clip(0, texture.shape[0] - 1)
    columns = (uv[:, 0] * texture.shape[1]).astype(int).clip(0, texture.shape[1] - 1)
    seen = points @ rotation.T
    shade = 0.35 + 0.65 * (mesh.face_normals[faces] @ rotation.T @ LIGHT).clip(0, 1)
    colours = texture[rows, columns] * shade[:, None]
    scale = SIDE * 0.85 / max(mesh.extents)
    x = (SIDE / 2 + seen[:, 0] * scale).astype(int).clip(0, SIDE - 1)
    y = (SIDE / 2 - seen[:, 1] * scale).astype(int).clip(0, SIDE - 1)
    order = np.argsort(seen[:, 2])  # the nearest is painted last
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    picture[y[order], x[order]] = colours[order]
    return Image.fromarray(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    mesh = trimesh.load(given.model, force="mesh")
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    sides = [render(mesh, turn(*angles)) for angles in ((0, 0), (40, 15), (80, 10), (-40, 30))]
    sheet = Image.new("RGB", (SIDE * len(sides), SIDE), "white")
    for place, side in enumerate(sides):
        sheet.paste(side, (SIDE * place, 0))
    sheet.save(given.picture)


if __name__ == "__main__":
    main()
