"""Check an image or a Dockerfile. No container engine is needed; nothing is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.package.checks.images.image_command import check_image_command, variables
from seatrial.package.checks.images.image_handler import check_image_handler, check_stage_handler
from seatrial.package.checks.images.image_platform import check_image_platform, check_stage_platform
from seatrial.package.checks.images.image_sources import check_image_sources
from seatrial.package.checks.images.stage_command import check_stage_command
from seatrial.package.checks.images.stage_entrypoint import check_stage_entrypoint
from seatrial.package.examine import Report
from seatrial.package.finding import Finding
from seatrial.package.image.dockerfile import read_dockerfile
from seatrial.package.image.layers import Files
from seatrial.package.image.store import Image, opened_image
from seatrial.package.inspect import in_order

IMAGE_ID = "image"


@dataclass(frozen=True, slots=True)
class ImageChosen:
    """Where the image will run (OCI's word, such as linux/amd64), and the handler that its configuration names."""

    platform: str
    handler: str | None = None


def examine_image(path: Path, chosen: ImageChosen) -> Report:
    """Check a tar of `docker save` or an OCI layout. Blocking."""
    try:
        with opened_image(path, chosen.platform.partition("/")[2]) as image:
            return _examine(image, chosen)
    except Unproven as error:
        remedy = str(error.details.get("remedy", ""))
        return Report((Finding(IMAGE_ID, "error", error.message, remedy, error.field),), layout="image")


def _examine(image: Image, chosen: ImageChosen) -> Report:
    folders = (variables(image).get("LAMBDA_TASK_ROOT"), image.run.get("WorkingDir"))
    files = Files(str(one) for one in folders if one)
    for layer in image.layers:
        files.lay(layer)
    found = [*check_image_platform(image, chosen.platform)]
    found += check_image_command(image, files)
    found += check_image_handler(image, files, chosen.handler)
    tags = f" ({', '.join(image.tags)})" if image.tags else ""
    notes = (f"deploy it by its digest, not by a tag: {image.digest}{tags}",)
    return Report(tuple(in_order(found)), layout="image", files=sum(1 for _ in files.names()), notes=notes)


def examine_dockerfile(path: Path, chosen: ImageChosen) -> Report:
    """Check a Dockerfile against the folder that it lies in, its build context. Blocking."""
    instructions, stage = read_dockerfile(path)
    if stage is None:
        finding = Finding(IMAGE_ID, "error", f"{path.name} has no FROM.", "Begin it with FROM and a base image.")
        return Report((finding,), layout="dockerfile")
    context = path.parent
    found = [
        *check_image_sources(instructions, stage, context),
        *check_stage_platform(stage, chosen.platform),
        *check_stage_command(stage, context, chosen.platform),
        *check_stage_entrypoint(stage, context),
        *check_stage_handler(stage, context, chosen.handler),
    ]
    return Report(tuple(in_order(found)), layout="dockerfile")
