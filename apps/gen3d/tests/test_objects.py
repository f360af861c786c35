"""What is made of a picture and its mask: closed, where it should be, of the picture's colours, the same every time."""

import io

import numpy as np
import pytest
import trimesh
from gen3d.inflation import inflate
from gen3d.errors import BadRequest


@pytest.fixture(scope="session")
def teapot(handler, sample):
    return handler("generate_3d", image=sample("teapot.png"), mask=sample("teapot-mask.png"), quality="fast")


def mesh_of(answer):
    return trimesh.load(io.BytesIO(answer["mesh"]), file_type="glb", force="mesh")


def disc(side=200, radius=80):
    rows, columns = np.mgrid[:side, :side]
    return (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < radius**2


def test_the_mesh_is_closed_textured_and_what_its_figures_say(teapot):
    mesh = mesh_of(teapot)
    assert (len(mesh.vertices), len(mesh.faces)) == (teapot["vertex_count"], teapot["face_count"])
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(teapot["volume"], rel=1e-3)
    assert mesh.visual.uv.shape == (len(mesh.vertices), 2)
    assert mesh.visual.material.baseColorTexture.size == tuple(teapot["texture_size"])
    assert np.allclose(mesh.bounds, teapot["bounds"], atol=1e-4)
    assert max(mesh.extents) == pytest.approx(1, abs=0.05)


def test_a_handle_stays_a_hole(teapot):
    assert mesh_of(teapot).euler_number == 0  # a ball has 2, one handle takes 2 away


def test_the_cloud_lies_on_the_mesh_in_the_pictures_colours(teapot):
    cloud = trimesh.load(io.BytesIO(teapot["points"]), file_type="ply")
    assert len(cloud.vertices) == teapot["point_count"]
    mesh = mesh_of(teapot)
    lengths = np.linalg.norm(cloud.vertices[:, None] - mesh.vertices[None, ::50], axis=2).min(axis=1)
    assert np.quantile(lengths, 0.99) < 0.1
    blue = (cloud.colors[:, 2] > cloud.colors[:, 0]).mean()
    assert 0.5 < blue < 0.95  # the glaze is blue, its bands are not


def test_a_disc_is_inflated_to_something_like_a_ball():
    solid = inflate(np.full((200, 200, 3), 90, np.uint8), disc(), "balanced")
    extents = np.ptp(solid.vertices, axis=0)
    assert extents[0] == pytest.approx(extents[1], abs=0.01)
    assert extents[2] == pytest.approx(0.87 * extents[0], rel=0.05)  # the root of ROUNDNESS / 4


@pytest.mark.parametrize("object_pixels", [(3, 3), (60, 2), (1, 1)])
def test_the_smallest_objects_are_closed_too(object_pixels):
    mask = np.zeros((64, 64), bool)
    mask[10 : 10 + object_pixels[0], 20 : 20 + object_pixels[1]] = True
    solid = inflate(np.full((64, 64, 3), 120, np.uint8), mask, "fast")
    assert trimesh.Trimesh(solid.vertices, solid.faces, process=False).is_watertight


def test_an_object_thinner_than_a_cell_is_refused():
    mask = np.zeros((2_000, 2_000), bool)
    mask[np.arange(2_000), np.arange(2_000)] = True
    with pytest.raises(BadRequest) as refused:
        inflate(np.zeros((2_000, 2_000, 3), np.uint8), mask, "fast")
    assert refused.value.error_type == "mask_too_thin"


def test_the_colours_end_at_the_object():
    picture = np.full((200, 200, 3), (255, 0, 255), np.uint8)  # a ground that must not be seen on the object
    picture[disc()] = (20, 120, 40)
    assert (inflate(picture, disc(), "fast").texture == (20, 120, 40)).all()


def test_quality_is_resolution(handler, sample):
    made = {
        quality: handler("generate_3d", image=sample("pear.png"), mask=sample("pear-mask.png"), quality=quality)
        for quality in ("fast", "balanced", "high")
    }
    faces = [made[quality]["face_count"] for quality in made]
    points = [made[quality]["point_count"] for quality in made]
    assert (faces, points) == (sorted(set(faces)), sorted(set(points)))


def test_the_same_request_has_the_same_answer(handler, sample, teapot):
    again = handler("generate_3d", image=sample("teapot.png"), mask=sample("teapot-mask.png"), quality="fast")
    assert (again["mesh"], again["points"]) == (teapot["mesh"], teapot["points"])
