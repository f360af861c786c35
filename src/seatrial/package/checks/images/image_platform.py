"""Is the image built for the machine that will run it, and can every runtime read its index?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.package.finding import Finding
from seatrial.package.image.dockerfile import Stage
from seatrial.package.image.store import Image

ID = "image_platform"


def check_image_platform(image: Image, wanted: str) -> Iterator[Finding]:
    """`wanted` is OCI's word for a platform, such as linux/amd64."""
    found = f"{image.config.get('os', 'linux')}/{image.config.get('architecture', '?')}"
    if found != wanted:
        message = f"The image is built for {found}, and it will run on {wanted}: no program of it can be started."
        yield Finding(ID, "error", message, f"Build it with `docker build --platform {wanted}`.")
    if image.attestations:
        message = "Its index lists build attestations beside the image; AWS Lambda refuses such an index."
        yield Finding(ID, "warning", message, "Build it with `--provenance=false --sbom=false`.")


def check_stage_platform(stage: Stage, wanted: str) -> Iterator[Finding]:
    """What a Dockerfile fixes itself."""
    fixed = stage.expanded(stage.base.flags.get("platform", ""))
    if fixed and "$" not in fixed and "/".join(fixed.split("/")[:2]) != wanted:
        message = f"Line {stage.base.line}: the image is built for {fixed}, and it will run on {wanted}."
        yield Finding(ID, "error", message, f"Write --platform={wanted}, or leave it out.", line=stage.base.line)
