"""Can the image that a package carries along be started as its server?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.package.checks.images.image_command import check_image_command
from seatrial.package.checks.images.image_platform import check_image_platform
from seatrial.package.checks.images.startable import ARCHITECTURES
from seatrial.package.finding import Finding
from seatrial.package.image.layers import Files
from seatrial.package.image.reference import is_reference
from seatrial.package.image.store import Image, opened_image
from seatrial.package.manifest import Manifest
from seatrial.package.target import Target

ID = "image"


def check_package_image(manifest: Manifest, root: Path, target: Target) -> Iterator[Finding]:
    """What would keep it from being started; of an image that lies elsewhere nothing is known."""
    if manifest.image is None or is_reference(manifest.image):
        return
    architecture = next((oci for oci, machine in ARCHITECTURES.items() if machine == target.machine), target.machine)
    try:
        with opened_image(root / manifest.image, architecture) as image:
            yield from _findings(image, manifest, f"linux/{architecture}")
    except Unproven as error:
        yield Finding(ID, "error", error.message, str(error.details.get("remedy", "")), manifest.image)


def _findings(image: Image, manifest: Manifest, platform: str) -> Iterator[Finding]:
    run = {**image.run, "Cmd": list(manifest.command) or image.run.get("Cmd")}
    started = replace(image, config={**image.config, "config": run})
    folder = image.run.get("WorkingDir")
    files = Files([str(folder)] if folder else [])
    for layer in image.layers:
        files.lay(layer)
    yield from check_image_platform(started, platform)
    yield from check_image_command(started, files)
