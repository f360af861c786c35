"""What outputs have to be like: thresholds, with the unit in each name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.prove import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """Thresholds for pictures. A share is between 0 and 1; None leaves a check out; levels are of 0 to 255."""

    bytes_min: int = 1
    bytes_max: int = limits.IMAGE_BYTES_MAX
    formats: tuple[str, ...] = ()  # png, jpeg, webp, gif, bmp, tiff, avif; empty: any of them
    modes: tuple[str, ...] = ()  # Pillow's names, such as RGB; empty: any
    width: int | None = None
    height: int | None = None
    pixels_max: int = limits.IMAGE_PIXELS_MAX
    blank_level_max: int = 2  # a pixel is blank when no channel is above this, or when it is transparent
    blank_share_max: float | None = 0.999
    variance_min: float | None = 1.0  # mean of the channels' variances
    bottom_share: float = 0.30  # the rows that the check for partial renders takes for the bottom
    bottom_blank_rows_share_max: float | None = None  # legitimately dark bottoms are common
    band_share_min: float | None = 0.02  # a constant band is looked at from this share of the picture's side on
    noise_ratio_max: float | None = 0.8  # neighbours' mean squared difference to twice the variance; 1 is pure noise


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """Thresholds for meshes and point clouds."""

    bytes_min: int = 1
    bytes_max: int = limits.MESH_BYTES_MAX
    formats: tuple[str, ...] = ()  # glb, ply, obj, stl; empty: any of them
    vertices_min: int = 3
    vertices_max: int = 100_000_000
    faces_min: int = 1
    points_allowed: bool = True  # PLY and GLB may hold points without faces
    degenerate_share_max: float = 0.05  # faces without area
    unreferenced_share_max: float = 0.05  # vertices that no face uses
    lone_edges_share_max: float = 0.75  # edges of one face only, where faces share vertices; of a ribbon it is 0.5
    texture_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySettings:
    """Thresholds for arrays and embeddings (`.npy`, and every member of an `.npz`)."""

    bytes_min: int = 1
    bytes_max: int = limits.ARRAY_BYTES_MAX
    dtypes: tuple[str, ...] = ()  # numpy's names, such as float32; empty: any that needs no unpickling
    shape: tuple[int, ...] | None = None  # -1 stands for any length
    members: tuple[str, ...] = ()  # names that an .npz must hold; only they are held against dtypes, shape and norms
    norm_min: float | None = None  # Euclidean, of each vector along the last axis
    norm_max: float | None = None
    constant_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSettings:
    """Thresholds for JSON documents; `.jsonl` and `.ndjson` hold one document a line."""

    bytes_min: int = 1
    bytes_max: int = limits.JSON_BYTES_MAX
    depth_max: int = limits.JSON_DEPTH_MAX
    schema: Mapping[str, Any] | None = None  # JSON Schema 2020-12, unless its $schema says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings:
    """Thresholds for sound files."""

    bytes_min: int = 1
    bytes_max: int = limits.MEDIA_BYTES_MAX
    seconds_min: float = 0.0
    seconds_max: float | None = None
    sample_rate: int | None = None  # Hz
    channels: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """Thresholds for films."""

    bytes_min: int = 1
    bytes_max: int = limits.MEDIA_BYTES_MAX
    seconds_min: float = 0.0
    seconds_max: float | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The thresholds of every kind, under a name."""

    name: str = "default"
    image: ImageSettings = field(default_factory=ImageSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    array: ArraySettings = field(default_factory=ArraySettings)
    json: JsonSettings = field(default_factory=JsonSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    video: VideoSettings = field(default_factory=VideoSettings)


DEFAULT = Profile()

# An image studio's: 1024 x 1024 pictures of a diffusion model, whole and neither blank nor flat.
STUDIO = Profile(
    name="studio",
    image=ImageSettings(
        bytes_min=100_000,
        bytes_max=10_000_000,
        formats=("png",),
        width=1024,
        height=1024,
        blank_level_max=10,
        blank_share_max=0.50,
        variance_min=100.0,
        bottom_blank_rows_share_max=0.50,
    ),
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in (DEFAULT, STUDIO)}
