"""Who sent this? Standard Webhooks 1.0 (https://www.standardwebhooks.com, symmetric `v1`), or a shared word in
`X-Callback-Secret`, as the studio protocol has it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from seatrial.prove.limits import CALLBACK_AGE_SECONDS_MAX

PREFIX = "whsec_"
STANDARD = "standard_webhooks"
SHARED = "x_callback_secret"


class Trust(StrEnum):
    """What became of a signature."""

    VALID = "valid"
    INVALID = "invalid"
    MISSING = "missing"  # none came, and one was to come
    UNCHECKED = "unchecked"  # the receiver has no secret


@dataclass(frozen=True, slots=True)
class Signature:
    """The scheme that the sender used (empty: none), and whether it holds."""

    trust: Trust
    scheme: str = ""
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Nothing speaks against the sender."""
        return self.trust in (Trust.VALID, Trust.UNCHECKED)


def check_signature(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now_seconds: float) -> Signature:
    """Hold a request against the secrets, any of which may be the sender's. `headers` have lower-case names."""
    signed, shared = headers.get("webhook-signature"), headers.get("x-callback-secret")
    scheme = STANDARD if signed is not None else SHARED if shared is not None else ""
    if not secrets:
        return Signature(Trust.UNCHECKED, scheme, "the receiver has no secret: start it with --secret")
    if signed is not None:
        return _standard(headers, signed, body, secrets, now_seconds)
    if shared is not None:
        if any(hmac.compare_digest(shared.encode(), secret.encode()) for secret in secrets):
            return Signature(Trust.VALID, scheme)
        return Signature(Trust.INVALID, scheme, "X-Callback-Secret is not the receiver's secret")
    return Signature(Trust.MISSING, "", "neither webhook-signature nor X-Callback-Secret was sent")


def _standard(
    headers: Mapping[str, str], signed: str, body: bytes, secrets: Iterable[str], now_seconds: float
) -> Signature:
    delivery_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not delivery_id:
        return Signature(Trust.INVALID, STANDARD, "webhook-id is missing")
    if not (timestamp.isascii() and timestamp.isdigit()):
        return Signature(Trust.INVALID, STANDARD, "webhook-timestamp is not a number of seconds")
    if abs(now_seconds - int(timestamp)) > CALLBACK_AGE_SECONDS_MAX:
        return Signature(
            Trust.INVALID, STANDARD, f"webhook-timestamp is more than {CALLBACK_AGE_SECONDS_MAX} seconds away from now"
        )
    content = b"%s.%s.%s" % (delivery_id.encode(), timestamp.encode(), body)
    given = [word.removeprefix("v1,") for word in signed.split() if word.startswith("v1,")]
    for secret in secrets:
        expected = base64.b64encode(hmac.digest(_key(secret), content, hashlib.sha256))
        if any(hmac.compare_digest(expected, one.encode()) for one in given):
            return Signature(Trust.VALID, STANDARD)
    return Signature(Trust.INVALID, STANDARD, "webhook-signature is not that of this body and the receiver's secret")


def is_usable(secret: str) -> bool:
    """Whether a secret can be a key: what `whsec_` begins has to go on in base64."""
    return bool(secret) and (not secret.startswith(PREFIX) or _key(secret) != secret.encode())


def _key(secret: str) -> bytes:
    """The bytes of a `whsec_` secret; a secret of plain words is its own key."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return secret.encode()
