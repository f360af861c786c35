"""How a package names its image: something that cannot be another image tomorrow."""

from __future__ import annotations

import re
from pathlib import Path

from seatrial.package.image.store import LAYOUT_FILE
from seatrial.package.problems import Problems, shown

BY_DIGEST = re.compile(r"(?P<name>[a-z0-9][\w.\-/:]*)@(?P<digest>sha256:[0-9a-f]{64})")
BY_ID = re.compile(r"sha256:[0-9a-f]{64}")
VALID = (
    "NAME@sha256:DIGEST, sha256:ID of an image that the server's engine holds, or the path of an OCI layout or of a "
    "saved image (.tar) in the package"
)


def is_reference(image: str) -> bool:
    """Whether it names an image elsewhere; else it is a path in the package."""
    return BY_DIGEST.fullmatch(image) is not None or BY_ID.fullmatch(image) is not None


def digest_of(image: str) -> str:
    """What an engine finds it by: without a tag, which does not go with a digest everywhere."""
    by_digest = BY_DIGEST.fullmatch(image)
    if by_digest is None:
        return image
    name, digest = by_digest["name"], by_digest["digest"]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}@{digest}"


def read_image(root: Path, image: str | None, problems: Problems) -> str | None:
    """The image of a package, or None with the problem noted; what is in it is for its own check to say."""
    if image is None or is_reference(image):
        return image
    path = (root / image).resolve()
    if path.is_relative_to(root.resolve()) and not Path(image).is_absolute() and path.exists():
        if path.is_file() or (path / LAYOUT_FILE).is_file():
            return image
        problems.add("[package]", "image", f"{shown(image)} is neither an OCI layout nor a saved image", VALID)
        return None
    fault = f"found {shown(image)}, which is no file of the package, and as a tag may be another image tomorrow"
    problems.add("[package]", "image", fault, VALID)
    return None
