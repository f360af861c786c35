"""The server's own RSA key with a certificate of it, in a file of its data folder that only its owner reads."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from seatrial.adapters.system.signing_key import SigningKeyUnusable, write_private

TOPIC_CERTIFICATE_FILE = "sns-certificate.pem"
_KEY_BITS = 2_048
_VALID_DAYS = 3_650
_HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - version 1 of SNS has SHA-1


class TopicCertificate:
    """ports.signer.TopicSigner."""

    def __init__(self, key: RSAPrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @property
    def certificate_pem(self) -> str:
        """See the port."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        """See the port."""
        return self._certificate.fingerprint(SHA256()).hex()

    def sign(self, message: bytes, version: str) -> str:
        """See the port."""
        return base64.b64encode(self._key.sign(message, PKCS1v15(), _HASHES[version])).decode()


def load_or_create_topic_certificate(data: Path) -> TopicCertificate:
    """The key and the certificate of a data folder; made when there are none. Blocking.

    Raises:
        SigningKeyUnusable
    """
    file = data / TOPIC_CERTIFICATE_FILE
    try:
        if not file.exists():
            write_private(file, _made())
        content = file.read_bytes()
    except OSError as error:
        raise SigningKeyUnusable(f"{file}: {error.strerror}") from error
    try:
        # OpenSSL's own look at the primes would be most of the time: that it is the certificate's key is seen below
        key = load_pem_private_key(content, None, unsafe_skip_rsa_key_validation=True)
        certificate = x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise SigningKeyUnusable(f"{file} is damaged ({error})") from error
    if not isinstance(key, RSAPrivateKey) or certificate.public_key() != key.public_key():
        raise SigningKeyUnusable(f"{file} does not hold an RSA key with its certificate")
    return TopicCertificate(key, certificate)


def _made() -> bytes:
    key = generate_private_key(65_537, _KEY_BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "seatrial")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_VALID_DAYS))
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + certificate.public_bytes(Encoding.PEM)
