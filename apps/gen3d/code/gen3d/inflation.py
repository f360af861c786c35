"""A solid from one picture and its mask: the silhouette, inflated.

The height of the solid above a point of the silhouette solves Poisson's equation with zero at the outline; its square
root makes round cross-sections, so that a disc becomes a ball and a strip becomes a rod. Source of the idea: Prasad and
Fitzgibbon, "Single View Reconstruction of Curved Surfaces", CVPR 2006, and earlier sketch-based modellers (Igarashi,
Matsuoka and Tanaka, "Teddy", SIGGRAPH 1999). The surface is where `height^2 - z^2` changes its sign, found by marching
cubes (Lorensen and Cline 1987), which makes it closed whatever the outline is. The back is the front's mirror image:
one picture says nothing about it.
"""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.sparse
import scipy.sparse.linalg
import skimage.measure
from PIL import Image

from gen3d.errors import BadRequest

ROUNDNESS = 3.0  # 4 makes a disc a ball and a strip wider than it is high; 2 makes a strip a rod and a disc flat
MARGIN = 3  # cells around the silhouette
PART_SHARE_MIN = 0.01  # of the object's cells: smaller specks of a mask are left out
CELLS = {"fast": 96, "balanced": 160, "high": 256}  # along the longer side of the silhouette
TEXTURE_PIXELS_MAX = 2_048


@dataclass(frozen=True)
class Solid:
    """A closed triangle mesh.

    Attributes:
        vertices: n x 3, float32; x to the right, y up, z towards the viewer; the longest side of the silhouette is 1.
        faces: m x 3, int64, counter-clockwise seen from outside.
        uv: n x 2, float32, of the texture; (0, 0) is its bottom left.
        texture: height x width x 3, uint8: the picture's crop, with the object's colours run out over its outline.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    texture: np.ndarray


def inflate(picture: np.ndarray, mask: np.ndarray, quality: str) -> Solid:
    """The solid of the object in a picture.

    Args:
        picture: height x width x 3, uint8.
        mask: height x width, bool: the object's pixels.
        quality: a key of `CELLS`.

    Raises:
        BadRequest: `mask_too_thin`, when nothing of the silhouette is as wide as a cell.
    """
    top, bottom, left, right = _bounds(mask)
    crop, inside = picture[top:bottom, left:right], mask[top:bottom, left:right]
    cells = _cells(inside, CELLS[quality])
    field = _field(cells)
    vertices, faces, _, _ = skimage.measure.marching_cubes(field, 0.0, allow_degenerate=False)
    across, down = cells.shape[1] - 2 * MARGIN, cells.shape[0] - 2 * MARGIN
    column, row = vertices[:, 1] - MARGIN + 0.5, vertices[:, 0] - MARGIN + 0.5
    depth = vertices[:, 2] - (field.shape[2] - 1) / 2
    longest = max(across, down)
    placed = np.stack([(column - across / 2) / longest, (down / 2 - row) / longest, depth / longest], axis=1)
    uv = np.stack([(column / across).clip(0, 1), (1 - row / down).clip(0, 1)], axis=1)
    return Solid(placed.astype(np.float32), _outwards(placed, faces), uv.astype(np.float32), _texture(crop, inside))


def _bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def _cells(inside: np.ndarray, longest: int) -> np.ndarray:
    """The silhouette on a grid of square cells with a margin, without specks."""
    scale = longest / max(inside.shape)
    width, height = (max(1, round(side * scale)) for side in (inside.shape[1], inside.shape[0]))
    shares = Image.fromarray(inside.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX)
    cells = np.pad(np.asarray(shares) > 127, MARGIN)
    parts, count = scipy.ndimage.label(cells)
    if not count:
        said = "The mask's object is too thin to be a solid: nothing of it is as wide as a hundredth of its length."
        raise BadRequest("mask_too_thin", said, "mask")
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return (sizes >= max(1, PART_SHARE_MIN * sizes.sum()))[parts]


def _field(cells: np.ndarray) -> np.ndarray:
    """`height^2 - z^2` over a grid of rows x columns x depths, negative outside."""
    squared = _heights_squared(cells)
    outside = scipy.ndimage.distance_transform_edt(~cells).astype(np.float32)
    profile = scipy.ndimage.gaussian_filter(np.where(cells, squared, -outside), 0.8)
    reach = int(np.ceil(np.sqrt(max(float(profile.max()), 1.0)))) + MARGIN
    z = np.arange(-reach, reach + 1, dtype=np.float32)
    return profile[:, :, None] - (z * z)[None, None, :]


def _heights_squared(cells: np.ndarray) -> np.ndarray:
    """u with -laplacian(u) = ROUNDNESS on the cells and u = 0 around them, by a sparse direct solution."""
    number = np.full(cells.shape, -1, dtype=np.int64)
    number[cells] = np.arange(np.count_nonzero(cells))
    unknowns = int(number.max()) + 1
    pairs = []
    for first, second in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
        both = (first >= 0) & (second >= 0)
        pairs.append((first[both], second[both]))
    one, other = (np.concatenate(half) for half in zip(*pairs, strict=True))
    ones = np.full(len(one), -1.0)
    links = scipy.sparse.coo_matrix((ones, (one, other)), shape=(unknowns, unknowns))
    matrix = (links + links.T + scipy.sparse.diags(np.full(unknowns, 4.0))).tocsc()
    solved = scipy.sparse.linalg.spsolve(matrix, np.full(unknowns, ROUNDNESS), permc_spec="MMD_AT_PLUS_A")
    heights = np.zeros(cells.shape, dtype=np.float32)
    heights[cells] = solved
    return heights


def _outwards(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The faces in the order that makes the volume positive."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum()
    return faces.astype(np.int64) if volume > 0 else faces[:, ::-1].astype(np.int64)


def _texture(crop: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The crop, where each pixel outside of the object has the colour of the object's nearest pixel well inside."""
    core = scipy.ndimage.binary_erosion(inside, iterations=2)
    known = core if core.any() else inside
    nearest = scipy.ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    picture = Image.fromarray(crop[tuple(nearest)])
    if max(picture.size) > TEXTURE_PIXELS_MAX:
        picture.thumbnail((TEXTURE_PIXELS_MAX, TEXTURE_PIXELS_MAX))
    return np.asarray(picture)
