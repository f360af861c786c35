"""Is a file of `torch.save` whole? Since PyTorch 1.6 it is a zip of a pickle and the tensors' bytes.

Format: pytorch/pytorch `caffe2/serialize/inline_container.h`. TorchScript archives hold `code/` beside it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

from seatrial.package.finding import Finding
from seatrial.package.stored import StoredFile

ID = "torch_zip"
SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
ZIP_MAGIC = b"PK\x03\x04"
REMEDY = "Save or copy the file again: compare its size and SHA-256 with the source's."


def wants(file: StoredFile) -> bool:
    """A zip under one of the names that PyTorch's files have."""
    return file.suffix in SUFFIXES and file.at(0, 4) == ZIP_MAGIC


def check(file: StoredFile) -> Iterator[Finding]:
    """At most one error."""
    try:
        with zipfile.ZipFile(file.body) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        message = f"{file.name} is no whole PyTorch file, it breaks off: {error}."
        yield Finding(ID, "error", message, REMEDY, file.name)
        return
    if not any(name.endswith("/data.pkl") for name in names) and file.suffix != ".bin":
        message = f"{file.name} is a zip without data.pkl: torch.save did not write it."
        yield Finding(
            ID, "error", message, "Save the model with torch.save, or name the file by what it is.", file.name
        )
