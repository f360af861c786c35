"""Is the interpreter here that the package asks for? Without it some of the other checks know less."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.package.finding import Finding
from seatrial.package.target import Target

ID = "interpreter"


def check_interpreter(target: Target) -> Iterator[Finding]:
    """One finding if it is not."""
    if target.missing_python is not None:
        message = f"The package asks for an interpreter that is not on this machine: {target.missing_python}"
        remedy = "Install it, check on the machine that will serve, or name another: --python."
        yield Finding(ID, "unprovable", message, remedy, "seatrial.toml")
