"""Is a picture whole? `seatrial validate` with its profile `studio`, under the names that these tests have for it.

from tests.e2e.async_inference.image_validator import ImageValidator, detect_partial_render

result = ImageValidator().validate(Path("job_123.png"))
if not result.is_valid:
    print(result.reason)
"""

from __future__ import annotations

import os
import pathlib
import sys

from seatrial.prove.validate import STUDIO, Kind, Outcome, Profile, Verdict, validate_file

Path = str | os.PathLike[str]
PARTIAL = (
    "image.whole",
    "image.decodes",
    "image.partial_render",
    "image.edge_band",
    "image.inner_band",
    "image.repeated_lines",
)


class ImageValidator:
    """Looks at PNG files of 1024 x 1024; another profile looks for something else."""

    def __init__(self, profile: Profile = STUDIO) -> None:
        self._profile = profile

    def validate(self, path: Path) -> Verdict:
        """`is_valid`, `reason` (the first fault; empty: none) and every check's finding."""
        return validate_file(path, self._profile, Kind.IMAGE)


def detect_partial_render(path: Path) -> tuple[bool, str]:
    """Whether the picture was cut off: its bottom is blank, or ends in a band, or its file ends early; and why.

    Raises:
        FileNotFoundError: there is no such file.
    """
    pathlib.Path(path).stat()
    found = validate_file(path, STUDIO, Kind.IMAGE).findings
    failed = [one for one in found if one.id in PARTIAL and one.outcome is Outcome.FAILED]
    return (True, failed[0].message) if failed else (False, "")


if __name__ == "__main__":
    results = {name: ImageValidator().validate(name) for name in sys.argv[1:]}
    for name, result in results.items():
        print(f"{name}: {result.reason or 'valid'}")
    sys.exit(not all(result.is_valid for result in results.values()))
