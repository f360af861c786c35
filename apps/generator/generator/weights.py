"""Weights in a folder: there, whole, and the very ones that were meant."""

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open

from generator.errors import NotLoadable

SUMS = "SHA256SUMS"  # in the folder: lines `<sha256>  <file>`, as sha256sum writes them
POINTER = b"version https://git-lfs"


def checked(folder: str | Path | None, backend: str, needed: tuple[str, ...]) -> Path:
    """The folder, once what a backend needs is in it.

    Every `.safetensors` must have a sound header that covers its bytes; with a `SHA256SUMS` in the folder, each file
    that it lists must have that hash.

    Args:
        folder: its path, or None where none was given.
        backend: the backend that needs it, for the message.
        needed: names of files that must be there.

    Raises:
        NotLoadable: with the file, and what to do about it.
    """
    if not folder:
        raise NotLoadable(
            f"the backend {backend} needs its weights",
            f"give `weights`: the folder of a diffusers pipeline, with {', '.join(needed)}",
        )
    root = Path(folder)
    for name in needed:
        if not (root / name).is_file():
            raise NotLoadable(f"{root / name} is missing", "put the weights there, or name another folder")
    files = sorted(root.rglob("*.safetensors"))
    if not files:
        raise NotLoadable(f"{root} holds no .safetensors", "put the weights there, or name another folder")
    for path in files:
        _check_header(path)
    if (root / SUMS).is_file():
        _check_sums(root)
    return root


def identity_of(root: Path) -> str | None:
    """What tells these weights from others of the same shapes: the SHA-256 of their `SHA256SUMS`; None without."""
    sums = root / SUMS
    return hashlib.sha256(sums.read_bytes()).hexdigest() if sums.is_file() else None


def shapes_of(path: Path) -> tuple[dict[str, str], dict[str, list[int]]]:
    """The metadata of a `.safetensors`, and the shape of each of its tensors.

    Raises:
        ValueError: the file is none, or was cut off.
    """
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise ValueError("is a Git LFS pointer, not weights")
    try:
        with safe_open(path, "numpy") as file:
            return file.metadata() or {}, {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - no dict
    except SafetensorError as error:
        if "not fully covered" in str(error):
            raise ValueError("has another length than its header tells of: it was cut off") from error
        raise ValueError("has no header of safetensors") from error


def _check_header(path: Path) -> None:
    try:
        shapes_of(path)
    except ValueError as error:
        raise NotLoadable(
            f"{path} {error}", "fetch it again (`git lfs pull` where it came from a repository)"
        ) from None


def _check_sums(root: Path) -> None:
    for line in (root / SUMS).read_text().splitlines():
        wanted, _, name = line.partition("  ")
        path = root / name.lstrip("*")
        if not path.is_file():
            raise NotLoadable(f"{path} is listed in {SUMS} and missing", "fetch it again")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            raise NotLoadable(f"{path} has another SHA-256 ({found}) than {SUMS} says", "fetch it again")
