"""Names of things inside a package: which are safe, and which are left out."""

from __future__ import annotations

from seatrial.domain.limits import MEMBER_NAME_BYTES_MAX, MEMBER_PATH_BYTES_MAX
from seatrial.package.refusal import refusal

# Never part of a package, in a directory or an archive: what tools leave behind, and environments of their own.
LEFT_OUT_NAMES = frozenset(
    {
        ".DS_Store",
        ".git",
        ".hg",
        ".hypothesis",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__MACOSX",
        "__pycache__",
    }
)
LEFT_OUT_SUFFIXES = (".pyc", ".pyo")
LEFT_OUT_PREFIX = "._"  # what macOS adds to archives beside every file

VENDORED_FOLDERS = frozenset(
    {"lib", "site-packages", "dist-packages", "vendor", "vendored", "_vendor", "third_party", "externals"}
)
VALID_NAME = "a relative path of folder and file names inside the package, without '..'"


def safe_parts(name: str) -> tuple[str, ...]:
    """The components of a member's name; empty for the root itself.

    Raises:
        Unproven: absolute, leaving the package, not UTF-8, with a NUL, or longer than a file system takes.
    """
    shown = name.encode("utf-8", "backslashreplace").decode()
    fault = _fault(name)
    if fault:
        raise refusal(f"{shown!r} {fault}", "Rename it and pack the package again.", field=shown, valid=VALID_NAME)
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _fault(name: str) -> str | None:
    """What is wrong with a name, if anything."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    if "\0" in name:
        return "has a NUL in it"
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in name.split("/"):
        return "leaves the package"
    longest = max(len(part) for part in encoded.split(b"/"))
    if longest > MEMBER_NAME_BYTES_MAX:
        return f"has a name of {longest} bytes, over the {MEMBER_NAME_BYTES_MAX} that a file system takes"
    if len(encoded) > MEMBER_PATH_BYTES_MAX:
        return f"is a path of {len(encoded)} bytes, over the limit of {MEMBER_PATH_BYTES_MAX}"
    return None


def is_vendored(name: str) -> bool:
    """True for a file of somebody else's that a package carries along: its optional parts are not this package's."""
    return bool(VENDORED_FOLDERS & set(name.split("/")[:-1]))


def is_left_out(parts: tuple[str, ...]) -> bool:
    """True for what is never part of a package (see LEFT_OUT_NAMES), or lies below such a folder."""
    if any(part in LEFT_OUT_NAMES for part in parts):
        return True
    return bool(parts) and (parts[-1].endswith(LEFT_OUT_SUFFIXES) or parts[-1].startswith(LEFT_OUT_PREFIX))
