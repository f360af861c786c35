"""Checks of meshes and point clouds."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from seatrial.prove.validate import DEFAULT, Outcome, Verdict, validate_bytes, validate_file

FORMATS = ["glb", "ply", "obj", "stl"]
INDEXED = ["glb", "ply", "ply-ascii", "obj"]
TEXTURED = replace(DEFAULT, mesh=replace(DEFAULT.mesh, texture_required=True))


def body() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=2)


def written(mesh: trimesh.Trimesh | trimesh.PointCloud, form: str) -> bytes:
    options = {"encoding": "ascii"} if form == "ply-ascii" else {}
    data = mesh.export(file_type=form.partition("-")[0], **options)
    return data.encode() if isinstance(data, str) else data


def looked_at(mesh: trimesh.Trimesh | trimesh.PointCloud, form: str) -> Verdict:
    return validate_bytes(written(mesh, form), f"a.{form.partition('-')[0]}")


def broken(verdict: Verdict) -> list[str]:
    """Checks that raised something, instead of finding something."""
    return [f"{one.id}: {one.message}" for one in verdict.findings if "broke" in one.measured]


def failed(verdict: Verdict) -> list[str]:
    return [one.id for one in verdict.findings if one.outcome is Outcome.FAILED]


def with_faces(faces: np.ndarray) -> trimesh.Trimesh:
    return trimesh.Trimesh(body().vertices, faces, process=False)


@pytest.mark.parametrize("form", [*FORMATS, "ply-ascii"])
def test_a_sound_mesh_is_valid(form: str) -> None:
    verdict = looked_at(body(), form)
    assert verdict.is_valid, verdict.reason


@pytest.mark.parametrize("form", [*FORMATS, "ply-ascii"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.995])
def test_a_mesh_that_ends_early_is_damaged(form: str, share: float) -> None:
    data = written(body(), form)
    verdict = validate_bytes(data[: int(len(data) * share)], f"a.{form.partition('-')[0]}")
    assert not verdict.is_valid


@pytest.mark.parametrize("form", INDEXED)
def test_vertices_that_are_not_finite_are_counted(form: str) -> None:
    mesh = body()
    vertices = mesh.vertices.copy()
    vertices[[3, 9], 1] = np.nan
    verdict = looked_at(trimesh.Trimesh(vertices, mesh.faces, process=False), form)
    assert failed(verdict)[0] == "mesh.vertices"
    assert "has 2 of 162 vertices that are NaN or infinite, first vertex 3" in verdict.reason


@pytest.mark.parametrize("form", INDEXED)
def test_a_face_that_names_no_vertex_is_named(form: str) -> None:
    faces = body().faces.copy()
    faces[7, 2] = 5000
    verdict = looked_at(with_faces(faces), form)
    assert failed(verdict) == ["mesh.faces"]
    assert "1 faces that name vertices which do not exist: face 7" in verdict.reason
    assert "names vertex 5000 of 162" in verdict.reason


def test_collapsed_and_degenerate_meshes_are_told_apart() -> None:
    flat = trimesh.Trimesh(np.outer(np.arange(162.0), [1, 2, 3]), body().faces, process=False)
    assert failed(looked_at(flat, "ply")) == ["mesh.area"]
    faces = body().faces.copy()
    faces[:40, 2] = faces[:40, 1]
    assert failed(looked_at(with_faces(faces), "ply")) == ["mesh.degenerate"]


def test_missing_faces_show_in_unused_vertices() -> None:
    assert failed(looked_at(with_faces(body().faces[:100]), "ply")) == ["mesh.unreferenced"]


def test_points_are_valid_where_points_may_be() -> None:
    points = trimesh.PointCloud(np.random.default_rng(1).normal(size=(50, 3)))
    assert looked_at(points, "ply").is_valid
    assert looked_at(points, "glb").is_valid
    assert failed(validate_bytes(b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "a.obj")) == ["mesh.faces"]


def test_a_face_that_breaks_off_is_named_by_its_line() -> None:
    text = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 3 4\nf 1 2"
    assert "line 6" in validate_bytes(text, "a.obj").reason
    assert validate_bytes(b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3", "a.obj").is_valid


def textured() -> trimesh.Trimesh:
    mesh = body()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8))
    mesh.visual = trimesh.visual.TextureVisuals(uv=mesh.vertices[:, :2], image=picture)
    return mesh


def test_a_texture_is_asked_for_and_looked_at() -> None:
    data = written(textured(), "glb")
    assert validate_bytes(data, "a.glb", TEXTURED).is_valid
    assert validate_bytes(written(body(), "glb"), "a.glb", TEXTURED).reason == "Mesh has no texture"
    at = data.find(b"\x89PNG")
    damaged = validate_bytes(data[: at + 50] + bytes(300) + data[at + 350 :], "a.glb")
    assert damaged.reason.startswith("Mesh has a texture that does not decode: image 0")


def test_an_obj_brings_its_material_and_picture(tmp_path: Path) -> None:
    mesh = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    (tmp_path / "a.obj").write_bytes(mesh)
    assert validate_file(tmp_path / "a.obj").reason == "Mesh names a file that is not there: 'a.mtl'"
    (tmp_path / "a.mtl").write_text("newmtl one\nmap_Kd skin.png\n")
    assert validate_file(tmp_path / "a.obj").reason == "Mesh names a file that is not there: 'skin.png'"
    Image.new("RGB", (8, 8), "red").save(tmp_path / "skin.png")
    assert validate_file(tmp_path / "a.obj", TEXTURED).is_valid
    (tmp_path / "a.obj").write_bytes(mesh.replace(b"a.mtl", b"../../../etc/passwd"))
    assert "outside its folder" in validate_file(tmp_path / "a.obj").reason


def test_a_header_that_says_too_much_costs_nothing() -> None:
    header = b"ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\nproperty float x\nproperty float y\n"
    verdict = validate_bytes(header + b"property float z\nend_header\n" + bytes(64), "a.ply")
    assert verdict.reason.startswith("PLY is damaged: the header says at least 48,000,000,000 bytes")


@pytest.mark.parametrize("form", [*FORMATS, "ply-ascii"])
def test_bytes_changed_anywhere_give_findings_and_never_an_error(form: str) -> None:
    random = np.random.default_rng(4)
    data = written(trimesh.creation.box(), form)
    for _ in range(150):
        changed = bytearray(data)
        for at in random.integers(0, len(data), 3):
            changed[at] = int(random.integers(0, 256))
        assert not broken(validate_bytes(bytes(changed), f"a.{form.partition('-')[0]}"))


def test_a_compressed_mesh_is_not_judged() -> None:
    with io.BytesIO() as file:
        file.write(written(body(), "glb"))
        data = file.getvalue()
    length = int.from_bytes(data[12:16], "little")
    document = data[20 : 20 + length].rstrip()[:-1] + b',"extensionsRequired":["KHR_draco_mesh_compression"]}'
    document += b" " * (-len(document) % 4)
    rest = data[20 + length :]
    total = (12 + 8 + len(document) + len(rest)).to_bytes(4, "little")
    compressed = data[:8] + total + len(document).to_bytes(4, "little") + b"JSON" + document + rest
    verdict = validate_bytes(compressed, "a.glb")
    assert verdict.is_valid
    assert any("KHR_draco_mesh_compression" in one.message for one in verdict.findings)


def test_faces_that_share_vertices_and_no_edges_lack_those_between_them() -> None:
    side = np.arange(20 * 20).reshape(20, 20)
    corners = [side[:-1, :-1], side[:-1, 1:], side[1:, :-1]]
    x, y = np.meshgrid(np.arange(20.0), np.arange(20.0))
    vertices = np.stack([x, y, np.sin(x)], -1).reshape(-1, 3)
    half = np.stack(corners, -1).reshape(-1, 3)  # of each square one triangle
    other = np.stack([side[:-1, 1:], side[1:, 1:], side[1:, :-1]], -1).reshape(-1, 3)
    assert failed(looked_at(trimesh.Trimesh(vertices, half, process=False), "ply")) == ["mesh.gaps"]
    whole = trimesh.Trimesh(vertices, np.concatenate([half, other]), process=False)
    ribbon = trimesh.Trimesh(vertices[:40], np.concatenate([half[:19], other[:19]]), process=False)
    cards = whole.copy()
    cards.unmerge_vertices()
    for sound in (whole, ribbon, cards):
        assert looked_at(sound, "ply").is_valid, looked_at(sound, "ply").reason
