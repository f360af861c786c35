"""Values of secrets: from the server's environment or from files of its secrets folder, read when needed."""

from __future__ import annotations

import os
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.domain.limits import SECRET_BYTES_MAX


class SecretReader:
    """Turns `env:NAME` and `file:NAME` into the value."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def __call__(self, source: str) -> str:
        """The value.

        Raises:
            Unproven: it is not there; the message names the source, never a value.
        """
        kind, _, name = source.partition(":")
        if kind == "env":
            return self._from_environment(name)
        if kind == "file":
            return self._from_file(name)
        raise _missing(source, "write env:NAME or file:NAME")

    def _from_environment(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise _missing(f"env:{name}", f"set {name} in the server's environment")
        return value

    def _from_file(self, name: str) -> str:
        if self._folder is None:
            raise _missing(f"file:{name}", "start the server with --secrets-dir DIR")
        folder = self._folder.resolve()
        file = (folder / name).resolve()
        if folder not in file.parents:
            raise _missing(f"file:{name}", "name a file inside the secrets folder")
        try:
            with file.open(encoding="utf-8") as stream:
                return stream.read(SECRET_BYTES_MAX).rstrip("\n")
        except OSError as error:
            raise _missing(f"file:{name}", f"put the file there ({error.strerror})") from None


def _missing(source: str, remedy: str) -> Unproven:
    return Unproven("load", f"The secret {source} cannot be read.", details={"remedy": remedy})
