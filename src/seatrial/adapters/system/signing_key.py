"""The server's own Ed25519 key, in a file of its data folder that only its owner reads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

SIGNING_KEY_FILE = "signing-key.pem"


class SigningKeyUnusable(Exception):
    """The file is there and is no such key, or cannot be read or made. Its words name the file."""


class SigningKey:
    """ports.signer.Signer."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_pem(self) -> str:
        """See the port."""
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return public.decode()

    def sign(self, message: bytes) -> bytes:
        """See the port."""
        return self._key.sign(message)


def load_or_create_signing_key(data: Path) -> SigningKey:
    """The key of a data folder; made, durable and with mode 0600, when there is none. Blocking.

    Raises:
        SigningKeyUnusable
    """
    file = data / SIGNING_KEY_FILE
    try:
        if not file.exists():
            _create(file)
        content = file.read_bytes()
    except OSError as error:
        raise SigningKeyUnusable(f"{file}: {error.strerror}") from error
    try:
        key = load_pem_private_key(content, None)
    except ValueError as error:
        raise SigningKeyUnusable(f"{file} is damaged ({error})") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyUnusable(f"{file} holds a key of another kind")
    return SigningKey(key)


def _create(file: Path) -> None:
    write_private(file, Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def write_private(file: Path, content: bytes) -> None:
    """Make a file that only its owner reads; whole and durable when this returns. Blocking."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
