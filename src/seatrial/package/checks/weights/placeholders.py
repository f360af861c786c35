"""Is a file of weights there at all, or only its placeholder: a pointer of Git LFS, an error page, nothing?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.package.finding import Finding
from seatrial.package.stored import StoredFile

ID = "placeholders"
WEIGHT_SUFFIXES = frozenset(
    (
        *(".bin", ".ckpt", ".engine", ".faiss", ".gguf", ".h5", ".index", ".joblib", ".keras", ".model", ".npy"),
        *(".npz", ".onnx", ".pb", ".pickle", ".pkl", ".plan", ".pt", ".pth", ".safetensors", ".tflite"),
    )
)
LFS = b"version https://git-lfs.github.com/spec/"
ANNEX = b"/annex/objects/"
XET = b"# xet version"
PAGES = (b"<!doctype html", b"<html", b"<?xml")
POINTER_BYTES_MAX = 4_096


def wants(file: StoredFile) -> bool:
    """Whatever is called like weights, and every small file that begins like a pointer."""
    if file.suffix in WEIGHT_SUFFIXES:
        return True
    return file.size_bytes <= POINTER_BYTES_MAX and file.at(0, len(LFS)).startswith((LFS, ANNEX, XET))


def check(file: StoredFile) -> Iterator[Finding]:
    """An error for what stands in place of the real file."""
    head = file.at(0, POINTER_BYTES_MAX)
    if file.size_bytes == 0:
        yield _error(file, "is empty", "Copy the real file into the package; an upload or a disk may have failed.")
    elif head.startswith(LFS):
        wanted = next((line[5:].decode("ascii", "replace") for line in head.split(b"\n") if line[:5] == b"size "), "")
        told = f"is a Git LFS pointer of {file.size_bytes} bytes, not the file of {wanted or 'many'} bytes"
        yield _error(file, told, f'Run `git lfs pull --include "{file.name}"` where you pack, then pack again.')
    elif head.startswith((ANNEX, XET)):
        told = f"is a pointer of {file.size_bytes} bytes, not the file itself"
        yield _error(file, told, "Fetch the file (`git annex get`, `git xet`) where you pack, then pack again.")
    elif head[:32].lstrip().lower().startswith(PAGES) and file.suffix not in (".pb", ".model"):
        told = "is a web page or an error document that was saved under this name"
        yield _error(file, told, "Download the file again, signed in if it needs that, and look at its size.")


def _error(file: StoredFile, told: str, remedy: str) -> Finding:
    return Finding(ID, "error", f"{file.name} {told}.", remedy, file.name)
