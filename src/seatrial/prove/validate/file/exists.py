"""`file.exists`: there is a regular file that can be read."""

from __future__ import annotations

import stat
from pathlib import Path

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit


def _run(subject: Subject) -> Passed:
    source = subject.content.source
    if isinstance(source, Path):
        try:
            mode = source.stat().st_mode
            if not stat.S_ISREG(mode):
                raise Unfit(f"Not a file: {source}")
            source.open("rb").close()
        except FileNotFoundError:
            raise Unfit(f"File does not exist: {source}") from None
        except OSError as error:
            raise Unfit(f"File cannot be read: {source}: {error.strerror}") from None
    return Passed("there is a file that can be read")


CHECK = Check("file.exists", _run, "look where the job wrote its output, and whether it wrote one at all")
