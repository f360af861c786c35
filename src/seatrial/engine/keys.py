"""Make keys, change what they may do, rotate their secrets, revoke them.

A key's secrets are told once, when they are made. What is kept of an API key is its SHA-256 (it is 238 random bits:
nothing to guess, so nothing to slow down), of a secret access key a sealed text.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from seatrial.domain import errors
from seatrial.domain.credentials import GIVEN_SCOPES, KeyScope
from seatrial.domain.errors import BadInput, Conflict, NotFound
from seatrial.domain.keys import Key, KeyPlan, KeySecret
from seatrial.domain.limits import (
    KEY_FORGOTTEN_DAYS,
    KEY_SECRETS_MAX,
    KEY_USED_COARSE_MS,
    KEY_USED_NOTED_MS,
    KEYS_MAX,
)
from seatrial.engine.bounds import DAY_MS
from seatrial.engine.keyring import Keyring
from seatrial.ports.clock import Clock
from seatrial.ports.registry import NotThere, Registry
from seatrial.ports.sealer import SealBroken, Sealer
from seatrial.ports.storage import StoreUnavailable

log = structlog.get_logger()

KIND = "key"  # of the registry's documents
_WORD = string.ascii_lowercase + string.digits
_ID = string.ascii_uppercase + string.digits
_SECRET = string.ascii_letters + string.digits
_HINT_CHARS = 4


@dataclass(frozen=True, slots=True)
class KeyMade:
    """A key with its secrets, which nobody can tell again."""

    key: Key
    api_key: str
    access_key_id: str
    secret_access_key: str


class Keys:
    """The keys of a server. The database is asked at the start; after that memory knows them all."""

    def __init__(self, registry: Registry, keyring: Keyring, sealer: Sealer, clock: Clock) -> None:
        self._registry = registry
        self._keyring = keyring
        self._sealer = sealer
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Know all keys, at start."""
        for key_id, kept in await self._registry.documents(KIND):
            key = Key.of_document(key_id, kept)
            self._keys[key_id] = key
            self._keyring.hold(key, self._opened(key))

    async def run(self) -> None:
        """Note when keys were used, and forget those that ended long ago; for ever, until cancelled."""
        while True:
            await self._clock.sleep_ms(KEY_USED_NOTED_MS)
            try:
                await self.note()
            except StoreUnavailable as error:
                log.warning("keys.not_noted", error=str(error))

    async def note(self) -> None:
        """One round of `run`."""
        used, now_ms = self._keyring.used(), self._clock.now_ms()
        async with self._changing:
            for key in list(self._keys.values()):
                if key.id in used and now_ms - (key.last_used_at_ms or 0) >= KEY_USED_COARSE_MS:
                    await self._save(replace(key, last_used_at_ms=now_ms - now_ms % KEY_USED_NOTED_MS))
                ended_at_ms = key.ended_at_ms(now_ms)
                if ended_at_ms is not None and now_ms - ended_at_ms >= KEY_FORGOTTEN_DAYS * DAY_MS:
                    await self._forget(key)

    def all(self) -> list[Key]:
        """All, the oldest first."""
        return sorted(self._keys.values(), key=lambda key: (key.created_at_ms, key.id))

    def key(self, key_id: str) -> Key:
        """One of them. Raises NotFound."""
        key = self._keys.get(key_id)
        if key is None:
            valid = "the id of a key: `seatrial keys list` shows them"
            raise NotFound(errors.KEY_NOT_FOUND, f"There is no key {key_id[:100]!r}.", valid=valid)
        return key

    async def create(self, plan: KeyPlan) -> KeyMade:
        """A new key.

        Raises:
            BadInput: the plan contradicts itself.
            Conflict: there are too many.
        """
        now_ms = self._clock.now_ms()
        _check(plan, now_ms)
        async with self._changing:
            if len(self._keys) >= KEYS_MAX:
                message = f"There are {KEYS_MAX} keys; revoked ones go after {KEY_FORGOTTEN_DAYS} days."
                raise Conflict(errors.TOO_MANY_KEYS, message)
            key = Key("key_" + _random(_WORD, 16), plan, (), now_ms)
            made = self._with_secret(key)
            await self._registry.put_document(KIND, key.id, made.key.document(), now_ms)
            self._know(made.key)
        log.info(
            "key.created",
            key=key.id,
            name=plan.name,
            scopes=[scope.value for scope in GIVEN_SCOPES if scope in plan.scopes],
        )
        return made

    async def change(self, key_id: str, plan: KeyPlan) -> Key:
        """Let a key do something else from now on, also with the URLs that it signed before.

        Raises:
            NotFound, BadInput
            Conflict: it was revoked.
        """
        _check(plan, self._clock.now_ms())
        async with self._changing:
            key = replace(self._living(key_id), plan=plan)
            await self._save(key)
        log.info(
            "key.changed",
            key=key_id,
            name=plan.name,
            scopes=[scope.value for scope in GIVEN_SCOPES if scope in plan.scopes],
        )
        return key

    async def rotate(self, key_id: str, overlap_ms: int) -> KeyMade:
        """New secrets; the old ones hold for the overlap.

        Raises:
            NotFound
            Conflict: it was revoked, or too many old secrets hold on.
        """
        now_ms = self._clock.now_ms()
        async with self._changing:
            key = self._living(key_id)
            until_ms = now_ms + overlap_ms
            old = [replace(one, until_ms=min(until_ms, one.until_ms or until_ms)) for one in key.secrets]
            held = tuple(one for one in old if (one.until_ms or 0) > now_ms)
            if len(held) >= KEY_SECRETS_MAX:
                message = f"Key {key_id} has {len(held)} secrets that still hold."
                raise Conflict(errors.TOO_MANY_KEYS, message, valid="an overlap of 0, or wait until one has ended")
            made = self._with_secret(replace(key, secrets=held))
            await self._save(made.key)
        log.info("key.rotated", key=key_id, overlap_ms=overlap_ms)
        return made

    async def revoke(self, key_id: str) -> Key:
        """End a key at once, with every URL that it signed; again it is the same. Raises NotFound."""
        async with self._changing:
            key = self.key(key_id)
            if key.revoked_at_ms is None:
                key = replace(key, revoked_at_ms=self._clock.now_ms(), secrets=())
                await self._save(key)
                log.info("key.revoked", key=key_id)
        return key

    # ------------------------------------------------------------------ inside

    def _living(self, key_id: str) -> Key:
        key = self.key(key_id)
        if key.revoked_at_ms is not None:
            raise Conflict(errors.KEY_REVOKED, f"Key {key_id} was revoked.", valid="another key: seatrial keys create")
        return key

    def _with_secret(self, key: Key) -> KeyMade:
        api_key = "st_" + _random(_SECRET, 40)
        access_key_id, secret = "STAK" + _random(_ID, 16), _random(_SECRET, 40)
        new = KeySecret(
            access_key_id,
            hashlib.sha256(api_key.encode()).hexdigest(),
            api_key[-_HINT_CHARS:],
            self._sealer.seal(secret, _purpose(key.id, access_key_id)),
            self._clock.now_ms(),
        )
        return KeyMade(replace(key, secrets=(*key.secrets, new)), api_key, access_key_id, secret)

    async def _save(self, key: Key) -> None:
        await self._registry.replace_document(KIND, key.id, key.document())
        self._know(key)

    async def _forget(self, key: Key) -> None:
        try:
            await self._registry.remove_document(KIND, key.id)
        except NotThere:
            pass  # a try whose answer was lost had done it
        del self._keys[key.id]
        self._keyring.drop(key.id)

    def _know(self, key: Key) -> None:
        self._keys[key.id] = key
        self._keyring.hold(key, self._opened(key))

    def _opened(self, key: Key) -> Mapping[str, str]:
        """Its secret access keys. One that cannot be opened signs nothing, while its API key goes on."""
        opened: dict[str, str] = {}
        for one in key.secrets:
            try:
                opened[one.access_key_id] = self._sealer.open(one.sealed_secret, _purpose(key.id, one.access_key_id))
            except SealBroken:
                log.error("key.secret_lost", key=key.id, access_key=one.access_key_id, remedy="rotate the key")
        return opened


def _check(plan: KeyPlan, now_ms: int) -> None:
    if KeyScope.ADMIN in plan.scopes and not (plan.endpoints is None and plan.buckets is None):
        raise BadInput(
            errors.INVALID_FIELD,
            "An admin key reaches everything.",
            field="endpoints" if plan.endpoints is not None else "buckets",
            valid="no endpoints and no buckets, or other scopes than admin",
        )
    if plan.expires_at_ms is not None and plan.expires_at_ms <= now_ms:
        raise BadInput(errors.INVALID_FIELD, "The key would be expired.", field="expires_at", valid="a time to come")


def _purpose(key_id: str, access_key_id: str) -> str:
    return f"secret access key {key_id}/{access_key_id}"


def _random(alphabet: str, chars: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(chars))
