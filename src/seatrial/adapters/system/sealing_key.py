"""ports.sealer.Sealer with AES-256-GCM (NIST SP 800-38D), by a key in a file of the data folder.

A sealed text is base64 of a random 96-bit nonce and the ciphertext with its tag; the purpose is authenticated too.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from seatrial.ports.sealer import SealBroken

SEALING_KEY_FILE = "sealing-key"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class SealingKeyUnusable(Exception):
    """The file is there and is no such key, or cannot be read or made. Its words name the file."""


class SealingKey:
    """Seals with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: str, purpose: str) -> str:
        """See the port."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), purpose.encode())).decode()

    def open(self, sealed: str, purpose: str) -> str:
        """See the port."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()).decode()
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise SealBroken(purpose) from error


def load_or_create_sealing_key(data: Path) -> SealingKey:
    """The key of a data folder; made, durable and with mode 0600, when there is none. Blocking.

    Raises:
        SealingKeyUnusable
    """
    file = data / SEALING_KEY_FILE
    try:
        if not file.exists():
            _create(file)
        key = base64.b64decode(file.read_bytes(), validate=True)
    except OSError as error:
        raise SealingKeyUnusable(f"{file}: {error.strerror}") from error
    except binascii.Error as error:
        raise SealingKeyUnusable(f"{file} is damaged ({error})") from error
    if len(key) != _KEY_BYTES:
        raise SealingKeyUnusable(f"{file} is damaged: it has {len(key)} bytes, not {_KEY_BYTES}")
    return SealingKey(key)


def _create(file: Path) -> None:
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)))
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
