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


class TopicSigner(Protocol):
    """The certificate with which what topics tell is signed, as Amazon SNS does."""

    @property
    def certificate_pem(self) -> str:
        """An X.509 certificate of an RSA key."""
        ...

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, in hexadecimal digits."""
        ...

    def sign(self, message: bytes, version: str) -> str:
        """RSASSA-PKCS1-v1_5 in base64: of version "1" with SHA-1, of version "2" with SHA-256."""
        ...
