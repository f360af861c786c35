"""Weights that the owner of the server put in a folder: there, whole, and the very ones that were meant.

apps/gen3d and apps/fashion have this file alike: each is an archive that runs by itself.
"""

import hashlib
from pathlib import Path
from typing import Any

from .errors import NotLoadable  # noqa: TID252 - the file is the same in two packages

SUMS = "SHA256SUMS"  # in the folder: lines `<sha256>  <file>`, as sha256sum writes them
POINTER = b"version https://git-lfs"


def checked(folder: str, variable: str, needed: tuple[str, ...]) -> Path:
    """The folder, once what a backend needs is in it.

    Every `.safetensors` must have a sound header that covers its bytes; with a `SHA256SUMS` in the folder, each file
    that it lists must have that hash.

    Args:
        folder: its path, or empty where none was given.
        variable: the environment variable that gives it.
        needed: names of files that must be there.

    Raises:
        NotLoadable: with the file, and what to do about it.
    """
    if not folder:
        raise NotLoadable(
            f"this backend needs its weights: set {variable} to the folder that holds {', '.join(needed)}"
        )
    root = Path(folder)
    for name in needed:
        if not (root / name).is_file():
            raise NotLoadable(f"{root / name} is missing; put the weights there, or point {variable} elsewhere")
    for path in sorted(root.rglob("*.safetensors")):
        _check_header(path)
    if (root / SUMS).is_file():
        _check_sums(root)
    return root


def whole(model: Any, folder: Path, variable: str, part: str = "") -> Any:
    """A model of transformers from a folder that was `checked`, with every one of its weights.

    What a folder lacks transformers fills with chance, and only warns: here it is no model.

    Args:
        model: the model's class.
        folder: where it is.
        variable: the environment variable that gives the folder.
        part: the part of the model that is used; empty is all of it.

    Raises:
        NotLoadable: with what keeps it from loading, and what to do about it.
    """
    try:
        made, told = model.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # whatever a stranger's files raise: none of it may pass for a model
        said = f"{folder} does not load as {model.__name__} ({type(error).__name__}: {error})"
        raise NotLoadable(f"{said}; point {variable} to weights of that model, or fetch them again") from error
    lacking = sorted(name for kind in ("missing_keys", "mismatched_keys") for name in map(str, told[kind]))
    lacking = [name for name in lacking if part in name]
    if lacking:
        said = f"the weights in {folder} lack {len(lacking)} of {model.__name__}'s tensors, such as {lacking[0]}"
        raise NotLoadable(f"{said}; point {variable} to weights of that model, or fetch them again")
    return made


def _check_header(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise NotLoadable(f"{path} is a Git LFS pointer, not weights; run `git lfs pull` where it came from")
    try:
        with safe_open(path, "numpy"):
            pass  # it has read the header, and compared what that tells of with the file's size
    except SafetensorError as error:
        if "not fully covered" in str(error):
            said = f"{path} has another length than its header tells of; it was cut off, fetch it again"
        else:
            said = f"{path} has no header of safetensors; fetch it again"
        raise NotLoadable(said) from error


def _check_sums(root: Path) -> None:
    for line in (root / SUMS).read_text().splitlines():
        wanted, _, name = line.partition("  ")
        path = root / name.lstrip("*")
        if not path.is_file():
            raise NotLoadable(f"{path} is listed in {SUMS} and missing; fetch it again")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            raise NotLoadable(f"{path} has another SHA-256 ({found}) than {SUMS} says; fetch it again")
