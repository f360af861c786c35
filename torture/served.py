"""`python -m torture.served FILE serve …`: a server whose wall clock is off by as many seconds as FILE says."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from seatrial.cli.main import main


class Offset:
    """How far the wall clock is off, in seconds; a file that is not there means not at all."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def seconds(self) -> float:
        try:
            return float(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return 0.0


def let_jump(file: Path) -> None:
    """From here on `time.time` and `time.time_ns` of this process jump with the file. Other clocks do not."""
    offset, real, real_ns = Offset(file), time.time, time.time_ns
    time.time = lambda: real() + offset.seconds()
    time.time_ns = lambda: real_ns() + int(offset.seconds() * 1e9)


if __name__ == "__main__":
    let_jump(Path(sys.argv.pop(1)))
    main()
