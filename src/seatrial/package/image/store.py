"""Find an image's configuration and layers: in a tar of `docker save`, or in an OCI layout (folder or tar).

Formats: moby/moby `image/spec/v1.2` (manifest.json) and the OCI Image Format Specification 1.1.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from seatrial.domain.limits import IMAGE_DOCUMENT_BYTES_MAX, IMAGE_LAYERS_MAX
from seatrial.package.refusal import refusal

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
DOCKER_MANIFEST = "manifest.json"
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
SAVE_AGAIN = "Save it again: `docker save IMAGE -o image.tar`, or `skopeo copy docker://… oci:DIR`."
Open = Callable[[str], IO[bytes] | None]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its name, its media type, and its bytes."""

    name: str
    media_type: str
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Image:
    """An image as its registry would give it. `digest` is its manifest's, or its configuration's where none is there.

    `attestations` counts entries of its index that are no image, such as build provenance.
    """

    config: Mapping[str, Any]
    layers: Sequence[Layer]
    digest: str
    tags: tuple[str, ...] = ()
    attestations: int = 0

    @property
    def run(self) -> Mapping[str, Any]:
        """How it is run: Entrypoint, Cmd, Env, WorkingDir."""
        return self.config.get("config") or {}


def is_image(path: Path) -> bool:
    """Whether a folder is an OCI layout, or a tar holds an image."""
    if path.is_dir():
        return (path / LAYOUT_FILE).is_file() and (path / INDEX_FILE).is_file()
    try:
        with tarfile.open(path, mode="r:") as archive:
            names = {one.name.removeprefix("./") for one, _ in zip(archive, range(IMAGE_LAYERS_MAX), strict=False)}
            if DOCKER_MANIFEST not in names:
                return LAYOUT_FILE in names and INDEX_FILE in names
            manifest = _json(partial(_in_tar, archive), DOCKER_MANIFEST)
    except (tarfile.TarError, OSError, ValueError):
        return False
    return isinstance(manifest, list) and bool(manifest) and isinstance(manifest[0], dict) and "Layers" in manifest[0]


@contextmanager
def opened_image(path: Path, machine: str) -> Iterator[Image]:
    """The image, whose layers can be read meanwhile.

    Of several in an index it is the one for the machine (OCI's word, such as amd64), or else the first.

    Raises:
        Unproven: it is damaged, or something of it is missing.
    """
    if path.is_dir():
        yield _read(partial(_in_folder, path), machine)
        return
    with tarfile.open(path, mode="r:") as archive:
        yield _read(partial(_in_tar, archive), machine)


def _read(opened: Open, machine: str) -> Image:
    try:
        index = opened(INDEX_FILE)
        if index is None:
            return _docker(opened)
        index.close()
        return _oci(opened, machine)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, tarfile.TarError, OSError) as error:
        raise refusal(f"The image is damaged: {error}", SAVE_AGAIN) from error


def _docker(opened: Open) -> Image:
    manifest = _json(opened, DOCKER_MANIFEST)[0]
    raw = _bytes(opened, manifest["Config"])
    layers = [Layer(name, "", partial(_there, opened, name)) for name in manifest["Layers"]]
    return Image(json.loads(raw), layers[:IMAGE_LAYERS_MAX], _digest(raw), tuple(manifest.get("RepoTags") or ()))


def _oci(opened: Open, machine: str) -> Image:
    entries, attestations = _manifests(opened, _json(opened, INDEX_FILE)["manifests"])
    fitting = [one for one in entries if (one.get("platform") or {}).get("architecture", machine) == machine]
    entry = (fitting or entries)[0]
    raw = _bytes(opened, _blob(entry["digest"]))
    manifest = json.loads(raw)
    config = _json(opened, _blob(manifest["config"]["digest"]))
    layers = [
        Layer(one["digest"], one["mediaType"], partial(_there, opened, _blob(one["digest"])))
        for one in manifest["layers"]
    ]
    named = (entry.get("annotations") or {}).get("org.opencontainers.image.ref.name")
    return Image(config, layers[:IMAGE_LAYERS_MAX], _digest(raw), (named,) if named else (), attestations)


def _manifests(opened: Open, entries: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Those of images, nested indexes opened, and how many are something else."""
    found: list[Mapping[str, Any]] = []
    others = 0
    for one in entries:
        if one.get("mediaType") in INDEX_TYPES:
            inner, more = _manifests(opened, _json(opened, _blob(one["digest"]))["manifests"])
            found += inner
            others += more
        elif (one.get("platform") or {}).get("architecture") == "unknown":
            others += 1
        else:
            found.append(one)
    return found, others


def _blob(digest: str) -> str:
    matched = DIGEST.fullmatch(digest)
    if matched is None:
        raise ValueError(f"{digest!r} is no digest")
    return f"blobs/sha256/{matched[1]}"


def _json(opened: Open, name: str) -> Any:
    return json.loads(_bytes(opened, name))


def _bytes(opened: Open, name: str) -> bytes:
    with _there(opened, name) as body:
        content = body.read(IMAGE_DOCUMENT_BYTES_MAX + 1)
    if len(content) > IMAGE_DOCUMENT_BYTES_MAX:
        raise ValueError(f"{name} has more than {IMAGE_DOCUMENT_BYTES_MAX} bytes")
    return content


def _there(opened: Open, name: str) -> IO[bytes]:
    body = opened(name)
    if body is None:
        raise ValueError(f"it holds no {name}")
    return body


def _in_folder(folder: Path, name: str) -> IO[bytes] | None:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return path.open("rb")


def _in_tar(archive: tarfile.TarFile, name: str) -> IO[bytes] | None:
    for one in (name, f"./{name}"):
        try:
            return archive.extractfile(one)
        except KeyError:
            continue
    return None


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
