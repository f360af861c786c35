"""A signed document: DSSE, the Dead Simple Signing Envelope (secure-systems-lab/dsse, version 1.0), with Ed25519.

What is signed are the very bytes that the envelope carries, so nothing has to be brought into a canonical form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from seatrial.ports.signer import Signer

PAYLOAD_TYPE = "application/vnd.seatrial.trial-report+json"
Envelope = Mapping[str, Any]  # payload (base64), payloadType, signatures [keyid, sig (base64)]


class NotGenuine(Exception):
    """The envelope was not signed with that key, or was changed since. Its words say which."""


def sealed(document: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """The document as JSON in an envelope signed by the server."""
    payload = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    signature = {"keyid": key_id(signer.public_pem), "sig": _text(signer.sign(_signed_bytes(PAYLOAD_TYPE, payload)))}
    return {"payload": _text(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}


def opened(envelope: Envelope, public_pem: str) -> dict[str, Any]:
    """The document of an envelope, once its signature was found to hold.

    Raises:
        NotGenuine: no signature of that key, one that does not hold, or no envelope at all.
    """
    key = load_pem_public_key(public_pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise NotGenuine("the public key is no Ed25519 key")
    try:
        kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
        signatures = {one["keyid"]: base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]}
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise NotGenuine("it is no signed report") from None
    own = key_id(public_pem)
    if kind != PAYLOAD_TYPE:
        raise NotGenuine(f"it is signed as {kind!r}, which is no trial report")
    if own not in signatures:
        raise NotGenuine(f"it is signed with the key {', '.join(map(str, signatures)) or 'of nobody'}, not with {own}")
    try:
        key.verify(signatures[own], _signed_bytes(kind, payload))
    except InvalidSignature:
        raise NotGenuine("the signature does not hold: the report was changed after it was signed") from None
    document: dict[str, Any] = json.loads(payload)
    return document


def key_id(public_pem: str) -> str:
    """What names a public key: `SHA256:` and the hash of its DER in hex, 16 bytes of it.

    Raises:
        ValueError: it is no PEM.
    """
    lines = [line for line in public_pem.strip().splitlines() if not line.startswith("-----")]
    return "SHA256:" + hashlib.sha256(base64.b64decode("".join(lines), validate=True)).hexdigest()[:32]


def _signed_bytes(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
