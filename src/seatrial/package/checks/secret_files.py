"""Does the package hold a file that nobody should be sent: a private key, a token, an `.env`?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from seatrial.package.finding import Finding
from seatrial.package.listing import ListedFile

ID = "secret_files"
NAMES = frozenset({".env", ".netrc", ".pypirc", ".git-credentials", "id_rsa", "id_ed25519", "id_ecdsa", "kaggle.json"})
FOLDERS = frozenset({".aws", ".ssh", ".azure", ".kube"})
KEY_SUFFIXES = (".pem", ".key", ".p12", ".pfx")
PRIVATE = (b"PRIVATE KEY-----", b'"private_key"')
HEAD_BYTES = 64 * 1024
REMEDY = "Leave it out; declare it in [secrets] of seatrial.toml instead, where the server gives it to the worker."


def check_secret_files(files: Iterable[ListedFile]) -> Iterator[Finding]:
    """One warning for each file."""
    for file in files:
        if is_secret(file.path, Path(file.name)):
            yield Finding(ID, "warning", f"{file.name} looks like a secret.", REMEDY, file.name)


def is_secret(path: Path, inside: Path) -> bool:
    """By its name, by its folder, or because it holds a private key."""
    if path.name in NAMES or (path.name.startswith(".env.") and not path.name.endswith((".example", ".sample"))):
        return True
    if FOLDERS & set(inside.parts[:-1]):
        return True
    if path.suffix.lower() not in (*KEY_SUFFIXES, ".json"):
        return False
    with path.open("rb") as body:
        head = body.read(HEAD_BYTES)
    return path.suffix.lower() in (".p12", ".pfx") or any(mark in head for mark in PRIVATE)
