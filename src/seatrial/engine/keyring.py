"""Finds the principal behind a key, and the secret behind an access key: dictionaries in memory, no store asked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from seatrial.domain.credentials import (
    ROOT,
    Credentials,
    KeyPair,
    Principal,
    owner_of,
    worker_of_access_key,
    worker_pair,
)
from seatrial.domain.keys import Key
from seatrial.ports.clock import Clock

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class _Held:
    """One generation of a key's secrets. `pair` None: its secret cannot be opened."""

    principal: Principal
    until_ms: int | None
    pair: KeyPair | None


class Keyring:
    """The owner's keys, the workers' derived ones, and the keys that were made."""

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._credentials = credentials
        self._root = credentials.api_key.encode()
        self._root_id = credentials.access_key_id.encode()
        self._owner = owner_of(credentials.account_id)
        self._clock = clock
        self._by_digest: dict[bytes, _Held] = {}
        self._by_access_key: dict[str, _Held] = {}
        self._newest: dict[str, _Held] = {}  # by key id
        self._used: set[str] = set()

    @property
    def credentials(self) -> Credentials:
        """The owner's own keys."""
        return self._credentials

    @property
    def owner(self) -> Principal:
        """Whose the server is."""
        return self._owner

    def by_api_key(self, api_key: str) -> Principal | None:
        """Whose API key this is; None: unknown, revoked or expired."""
        given = api_key.encode()
        if hmac.compare_digest(given, self._root):
            return self._owner
        held = self._by_digest.get(hashlib.sha256(given).digest())
        return held.principal if held is not None and self._lives(held) else None

    def by_access_key(self, access_key_id: str) -> tuple[str, Principal] | None:
        """The secret that belongs to an access key, and whose it is; None: unknown, revoked or expired."""
        if hmac.compare_digest(access_key_id.encode(), self._root_id):
            return self._credentials.secret_access_key, self._owner
        held = self._by_access_key.get(access_key_id)
        if held is None:
            return worker_of_access_key(self._credentials, access_key_id)
        return (held.pair.secret_access_key, held.principal) if held.pair is not None and self._lives(held) else None

    def for_worker(self, endpoint_name: str) -> KeyPair:
        """The key pair that an endpoint's workers get."""
        return worker_pair(self._credentials, endpoint_name)

    def holder(self, key_id: str) -> Principal:
        """Who a key stands for by now; of one that cannot sign any more, somebody who may do nothing."""
        if key_id == ROOT:
            return self._owner
        held = self._newest.get(key_id)
        signs = held is not None and held.pair is not None and self._lives(held)
        return held.principal if held is not None and signs else Principal(self._owner.owner, key_id, frozenset())

    def pair_of(self, principal: Principal) -> KeyPair | None:
        """What signs in a principal's name: a URL signed so reaches what it reaches, as long as it does."""
        if principal.key_id == ROOT:
            return KeyPair(self._credentials.access_key_id, self._credentials.secret_access_key)
        held = self._newest.get(principal.key_id)
        return held.pair if held is not None else None

    def hold(self, key: Key, opened: Mapping[str, str]) -> None:
        """Know a key as it is from now on. `opened`: the secrets of its access keys, by id."""
        self.drop(key.id)
        if key.revoked_at_ms is not None:
            return
        principal = key.principal(self._credentials.account_id)
        for one in key.secrets:
            secret = opened.get(one.access_key_id)
            pair = None if secret is None else KeyPair(one.access_key_id, secret)
            held = _Held(principal, _first((one.until_ms, key.plan.expires_at_ms)), pair)
            self._by_digest[bytes.fromhex(one.api_key_sha256)] = held
            self._by_access_key[one.access_key_id] = held
            if one.until_ms is None:
                self._newest[key.id] = held

    def drop(self, key_id: str) -> None:
        """Know a key no more."""
        self._by_digest = _without(self._by_digest, key_id)
        self._by_access_key = _without(self._by_access_key, key_id)
        self._newest.pop(key_id, None)

    def used(self) -> set[str]:
        """The ids of keys that were used since this was last asked."""
        used, self._used = self._used, set()
        return used

    def _lives(self, held: _Held) -> bool:
        if held.until_ms is not None and self._clock.now_ms() >= held.until_ms:
            return False
        self._used.add(held.principal.key_id)
        return True


def _without(known: Mapping[_Name, _Held], key_id: str) -> dict[_Name, _Held]:
    return {name: held for name, held in known.items() if held.principal.key_id != key_id}


def _first(instants_ms: Iterable[int | None]) -> int | None:
    return min((one for one in instants_ms if one is not None), default=None)
