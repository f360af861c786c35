"""What a package is, as a hash: the same for a directory and for the archive of it."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from seatrial.domain.limits import STREAM_CHUNK_BYTES
from seatrial.package.archive import members_of


def content_hash(root: Path) -> str:
    """SHA-256 hex over the sorted members: path, kind, size and SHA-256 of the bytes. Blocking.

    Kind is "x" for an executable file, "-" for another, "l" for a link (its target counts as its bytes) and "d"
    for an empty folder. Owners, times and other mode bits do not count, nor does what is left out of packages.
    """
    states = dict(members_of(root))
    parents = {name.rpartition("/")[0] for name in states}
    whole = hashlib.sha256()
    for name in sorted(states, key=str.encode):
        state = states[name]
        if stat.S_ISDIR(state.st_mode):
            if name in parents:
                continue
            kind, size, digest = "d", 0, hashlib.sha256().hexdigest()
        elif stat.S_ISLNK(state.st_mode):
            target = os.readlink(root / name).encode()  # noqa: PTH115  # the text as it is
            kind, size, digest = "l", len(target), hashlib.sha256(target).hexdigest()
        else:
            kind, size, digest = "x" if state.st_mode & 0o111 else "-", state.st_size, file_hash(root / name)
        whole.update(f"{kind} {size} {digest} {name}\0".encode())
    return whole.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 hex of a file's bytes. Blocking."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as body:
        while chunk := body.read(STREAM_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
