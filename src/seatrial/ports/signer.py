"""Who signs for this server."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """An Ed25519 key (RFC 8032) that never leaves its place."""

    @property
    def public_pem(self) -> str:
        """The public key, SubjectPublicKeyInfo in PEM (RFC 8410)."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        ...
