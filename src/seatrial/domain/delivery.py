"""Deliveries: who is told of a job's end, in which words, signed how, and when it is tried again.

Signatures are those of Standard Webhooks 1.0 (https://www.standardwebhooks.com), symmetric (`v1`): the HMAC-SHA256,
keyed with the secret's bytes, of `<webhook-id>.<webhook-timestamp>.<body>`, in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from seatrial.domain.addresses import IpNetwork, refusal, remedy
from seatrial.domain.errors import INVALID_FIELD, BadInput
from seatrial.domain.limits import (
    DELIVERY_ATTEMPTS_MAX,
    DELIVERY_RETRY_MS_FIRST,
    DELIVERY_RETRY_MS_MAX,
    URL_CHARS_MAX,
    WEBHOOKS_PER_JOB_MAX,
)

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with
TRIAL_PREFIX = "trial:"  # of a trial's receivers
_RETRY_FACTOR = 3
_JITTER = 0.2
EXPIRED = "the time until which it was to be told has passed"  # an attempt's error when nobody was asked any more
_FINAL_STATUS = 410  # Gone: the receiver says that it wants no more of this


QUEUED, STARTED, PROGRESS = "queued", "started", "progress"
EVENTS = (QUEUED, STARTED, PROGRESS, "succeeded", "failed", "cancelled", "endpoint", "canary")  # what filters name
DEFAULT_EVENTS = frozenset(EVENTS) - {QUEUED, STARTED, PROGRESS}  # of those that name none


class TargetKind(StrEnum):
    """How somebody is told."""

    WEBHOOK = "webhook"
    RUNPOD = "runpod"  # a webhook that is told in the words of RunPod's status document
    STUDIO = "studio"  # a callback of the studio protocol: a form with the picture, and the secret that the client gave
    COG = "cog"  # a webhook that is told in the words of Cog's prediction
    TOPIC = "topic"  # an SNS topic, by its ARN: each of its subscribers has a delivery of its own
    SNS = "sns"  # a subscriber of an SNS topic, told in SNS's envelope
    TRIAL = "trial"  # a receiver that a trial has on its own server, for as long as it lasts


class DeliveryState(StrEnum):
    """What has become of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up; a replay makes it pending again


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who wants to know. `events` are the words of EVENTS that interest them; empty: the usual ones."""

    kind: TargetKind
    address: str  # of a webhook its URL
    events: frozenset[str] = frozenset()
    inline: bool = False  # of a topic: a small answer is told along
    webhook: str | None = None  # the endpoint's webhook, whose own secret it is signed with

    @property
    def receiver(self) -> str:
        """Whose slowness or absence is their own: `https://host:port`; of a trial's receiver `trial:host:port`."""
        split = urlsplit(self.address)
        if self.kind is TargetKind.TRIAL:
            return f"{TRIAL_PREFIX}{split.netloc}"
        return f"{split.scheme}://{split.netloc.rpartition('@')[2]}"

    def wants(self, event: str) -> bool:
        """True when this event is to be told."""
        return event in (self.events or DEFAULT_EVENTS)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: the answer's status and the first characters of its body, or why there was no answer."""

    number: int
    at_ms: int
    duration_ms: int
    status: int | None = None
    answer: str = ""
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Any 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification on its way. `id` is its webhook-id, the same each time. Times are ms since the epoch."""

    id: str
    job_id: str
    endpoint_name: str
    target: Target
    event: str
    body: str
    state: DeliveryState
    tries: int  # since it was last made pending
    created_at_ms: int
    next_at_ms: int | None
    ended_at_ms: int | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a listing shows, newest first. `before` is the id of the last one of the page before."""

    job_id: str | None = None
    endpoint_name: str | None = None
    state: DeliveryState | None = None
    before: str | None = None
    limit: int = 50
    within: frozenset[str] | None = None  # only of these endpoints


def delivery_id(job_id: str, number: int) -> str:
    """The webhook-id of a job's notification to its n-th target: known before it is written, so never doubled."""
    return f"msg_{job_id.replace('-', '')}_{number}"


def read_webhooks(
    urls: list[str] | tuple[str, ...],
    *,
    allow: tuple[IpNetwork, ...],
    field: str = "webhook",
    kind: TargetKind = TargetKind.WEBHOOK,
    events: frozenset[str] = frozenset(),
) -> tuple[Target, ...]:
    """Targets from URLs that somebody gave; names are judged by their addresses, at each delivery.

    `allow` opens networks that are not public.

    Raises:
        BadInput: too many, not http(s), or an address that only this network can reach.
    """
    if len(urls) > WEBHOOKS_PER_JOB_MAX:
        raise _unusable(f"{len(urls)} webhooks are too many.", f"at most {WEBHOOKS_PER_JOB_MAX}", field)
    return tuple(Target(kind, _checked(url, allow, field), events) for url in dict.fromkeys(urls))


def read_events(text: str | None, field: str = "events") -> frozenset[str]:
    """The words of a filter, separated by spaces; None: those of nobody who names any. Raises BadInput."""
    words = frozenset((text or "").split())
    unknown = sorted(words - frozenset(EVENTS))
    if unknown or (text is not None and not words):
        message = f"{unknown[0][:50]!r} is no event." if unknown else "No event is named."
        raise BadInput(INVALID_FIELD, message, field=field, valid=", ".join(EVENTS))
    return words


def _checked(url: str, allow: tuple[IpNetwork, ...], field: str) -> str:
    valid = f"an http or https URL of a public address, of at most {URL_CHARS_MAX:,} characters, without credentials"
    try:
        split = urlsplit(url)
        usable = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        raise _unusable(f"{url[:200]!r} is not a URL.", valid, field) from None
    if not usable or len(url) > URL_CHARS_MAX or "@" in split.netloc or not url.isascii() or not url.isprintable():
        raise _unusable(f"{url[:200]!r} cannot be a webhook.", valid, field)
    host = split.hostname or ""
    try:
        address = str(ip_address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        return url
    word = refusal(address, allow)
    if word is not None:
        message = f"The receiver {url[:200]!r} names an address that is {word}. {remedy([address])}"
        raise _unusable(message, valid, field)
    return url


def _unusable(message: str, valid: str, field: str) -> BadInput:
    return BadInput(INVALID_FIELD, message, field=field, valid=valid)


def signed_headers(secrets: Sequence[str], delivery_id: str, timestamp_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks. Each secret, `whsec_` and base64, gives a signature."""
    signed = b"%s.%d.%s" % (delivery_id.encode(), timestamp_seconds, body)
    keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets]
    signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp_seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def retry_after_ms(tries: int, chance: float, asked_seconds: int | None = None) -> int:
    """How long to wait after that many tries: 5 s, tripled each time up to 6 hours, a fifth more or less.

    `chance` is from 0 to 1. A receiver that asks (Retry-After) is given at least that, up to the same 6 hours.
    """
    plain = min(DELIVERY_RETRY_MS_FIRST * _RETRY_FACTOR ** (tries - 1), DELIVERY_RETRY_MS_MAX)
    spread = int(plain * (1 + _JITTER * (2 * chance - 1)))
    return min(max(spread, (asked_seconds or 0) * 1000), DELIVERY_RETRY_MS_MAX)


def is_final(tries: int, attempt: Attempt) -> bool:
    """True when no further try would be of use, or the last one was made."""
    return attempt.status == _FINAL_STATUS or attempt.error == EXPIRED or tries >= DELIVERY_ATTEMPTS_MAX
