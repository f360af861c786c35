"""API keys: what each may do, where, until when, and the secrets that prove it.

A key has an API key (of which only a hash is kept) and an access key pair (whose secret is kept sealed, since
signatures are computed from it). A rotation adds new ones; the old go on for an overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from seatrial.domain.credentials import KeyScope, Principal

EVERYTHING = "*"  # in a reach: all endpoints, or all buckets


class KeyState(StrEnum):
    """Whether a key opens anything."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeySecret:
    """One generation of a key's secrets. `until_ms`: when an overlap ends; None: the current one."""

    access_key_id: str
    api_key_sha256: str
    api_key_hint: str  # its last characters, by which people tell keys apart
    sealed_secret: str
    created_at_ms: int
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What a key may do. `endpoints` and `buckets` None: all of them."""

    name: str
    scopes: frozenset[KeyScope]
    endpoints: frozenset[str] | None = None
    buckets: frozenset[str] | None = None
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept. `last_used_at_ms` is coarse: it may be KEY_USED_COARSE_MS behind."""

    id: str
    plan: KeyPlan
    secrets: tuple[KeySecret, ...]
    created_at_ms: int
    last_used_at_ms: int | None = None
    revoked_at_ms: int | None = None

    def principal(self, owner: str) -> Principal:
        """Who calls by this key."""
        plan = self.plan
        return Principal(owner, self.id, plan.scopes, plan.endpoints, plan.buckets)

    def state(self, now_ms: int) -> KeyState:
        """As it is at that time."""
        if self.revoked_at_ms is not None:
            return KeyState.REVOKED
        expires_at_ms = self.plan.expires_at_ms
        return KeyState.EXPIRED if expires_at_ms is not None and expires_at_ms <= now_ms else KeyState.ACTIVE

    def ended_at_ms(self, now_ms: int) -> int | None:
        """Since when it is of no use."""
        return None if self.state(now_ms) is KeyState.ACTIVE else self.revoked_at_ms or self.plan.expires_at_ms

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        plan = self.plan
        return {
            "name": plan.name,
            "scopes": sorted(plan.scopes),
            "endpoints": _listed(plan.endpoints),
            "buckets": _listed(plan.buckets),
            "expires_at_ms": plan.expires_at_ms,
            "secrets": [asdict(one) for one in self.secrets],
            "created_at_ms": self.created_at_ms,
            "last_used_at_ms": self.last_used_at_ms,
            "revoked_at_ms": self.revoked_at_ms,
        }

    @classmethod
    def of_document(cls, key_id: str, kept: Mapping[str, Any]) -> Key:
        """The other way."""
        plan = KeyPlan(
            kept["name"],
            frozenset(KeyScope(scope) for scope in kept["scopes"]),
            _set(kept["endpoints"]),
            _set(kept["buckets"]),
            kept["expires_at_ms"],
        )
        secrets = tuple(KeySecret(**one) for one in kept["secrets"])
        return cls(key_id, plan, secrets, kept["created_at_ms"], kept["last_used_at_ms"], kept["revoked_at_ms"])


def reach(
    endpoints: Iterable[str] | None, buckets: Iterable[str] | None
) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The endpoints and buckets of a key that was asked for; None: all.

    Who names neither reaches everything. Who names some of one kind reaches nothing of the other kind but what is
    named too; "*" names all of a kind.
    """
    if endpoints is None and buckets is None:
        return None, None
    return _named(endpoints or ()), _named(buckets or ())


def _named(names: Iterable[str]) -> frozenset[str] | None:
    chosen = frozenset(names)
    return None if EVERYTHING in chosen else chosen


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _set(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)
