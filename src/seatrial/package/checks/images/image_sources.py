"""Does a Dockerfile build the same image tomorrow, of files that are there?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seatrial.package.finding import Finding
from seatrial.package.image.dockerfile import Instruction, Stage

ID = "image_sources"


def check_image_sources(instructions: list[Instruction], stage: Stage, context: Path) -> Iterator[Finding]:
    """A base that is named by a tag, and a COPY of what the build context does not hold."""
    base = stage.expanded(stage.base.rest.split()[0]) if stage.base.rest else ""
    if base and base != "scratch" and "@sha256:" not in base:
        message = f"Line {stage.base.line}: {base} is named by a tag, which may be another image tomorrow."
        remedy = f"Name it by its digest: {base}@sha256:…; `docker buildx imagetools inspect {base}` prints it."
        yield Finding(ID, "warning", message, remedy, line=stage.base.line)
    for one in instructions:
        if one.word not in ("COPY", "ADD") or "from" in one.flags or "<<" in one.rest:
            continue
        for word in list(one.exec_form or one.rest.split())[:-1]:
            pattern = word.lstrip("/").removeprefix("./").rstrip("/")
            if "://" in word or "$" in word or pattern in ("", "."):
                continue
            if not any(context.glob(pattern)):
                message = f"Line {one.line}: {one.word} names {word!r}, which the build context does not hold."
                remedy = "Add it, or correct the path: it starts at the context."
                yield Finding(ID, "error", message, remedy, line=one.line)
