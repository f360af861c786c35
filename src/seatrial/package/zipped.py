"""A zip file, as AWS Lambda takes code, as the `.tar.gz` that packages are opened from.

Names, links and sizes are judged where every package is opened; here only what a zip file itself can do to a reader.
"""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from seatrial.domain.limits import ARCHIVE_MEMBERS_MAX, LAMBDA_UNPACKED_BYTES_MAX
from seatrial.package.layers import FOLDER as LAYERS_FOLDER
from seatrial.package.refusal import refusal

LINK_BYTES_MAX = 4_096
UNREADABLE = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError)


def tar_of_zip(source: Path, target: Path, added: Mapping[str, bytes], layers: Sequence[Path] = ()) -> None:
    """Write the members of `source` into `target`, and those of `added` that it does not have. Blocking.

    `layers` are zip files too; each gets a folder of its own below `.layers`, in their order.

    Raises:
        Unproven: no zip file, encrypted, broken, or over a limit.
        OSError: unreadable, or no room.
    """
    try:
        with ExitStack() as stack:
            packed = stack.enter_context(tarfile.open(target, "w:gz", compresslevel=1))
            archives = [stack.enter_context(zipfile.ZipFile(one)) for one in (source, *layers)]
            _check([member for archive in archives for member in archive.infolist()])
            for number, archive in enumerate(archives):
                for member in archive.infolist():
                    _take(archive, member, packed, f"{LAYERS_FOLDER}/{number}/" if number else "")
            names = {one.filename for one in archives[0].infolist()}
            for name, content in added.items():
                if name not in names:
                    packed.addfile(_described(name, len(content), 0o644), io.BytesIO(content))
    except UNREADABLE as error:
        raise refusal(f"The code is no readable zip file: {error}", "Pack it again: zip -r function.zip .") from error


def _check(members: list[zipfile.ZipInfo]) -> None:
    """By what the directory declares: a member never gives more than that."""
    total = sum(one.file_size for one in members)
    if len(members) > ARCHIVE_MEMBERS_MAX:
        raise refusal(f"The code has more than {ARCHIVE_MEMBERS_MAX} members", "Leave out what it does not need.")
    if total > LAMBDA_UNPACKED_BYTES_MAX:
        raise refusal(
            f"Unzipped size must be smaller than {LAMBDA_UNPACKED_BYTES_MAX} bytes, and is {total}",
            "Declare big weights as [[weights]] in seatrial.toml, and deploy with `seatrial deploy`.",
        )


def _take(archive: zipfile.ZipFile, member: zipfile.ZipInfo, packed: tarfile.TarFile, below: str) -> None:
    mode = member.external_attr >> 16
    described = _described(below + member.filename.rstrip("/"), member.file_size, mode or 0o644)
    if member.is_dir():
        described.type, described.size = tarfile.DIRTYPE, 0
        packed.addfile(described)
    elif stat.S_ISLNK(mode):
        described.type, described.size = tarfile.SYMTYPE, 0
        with archive.open(member) as body:
            described.linkname = body.read(LINK_BYTES_MAX).decode(errors="surrogateescape")
        packed.addfile(described)
    else:
        with archive.open(member) as body:
            packed.addfile(described, body)


def _described(name: str, size_bytes: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, stat.S_IMODE(mode)
    return member
