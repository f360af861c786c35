"""Keys as they are kept and known: rotation with overlap, expiry, revocation, a new start, a lost sealing key."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.opening import open_database
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.adapters.system.sealing_key import SEALING_KEY_FILE, SealingKeyUnusable, load_or_create_sealing_key
from seatrial.domain.access import outside_object, reach_document, reaches_object, read_reach, require
from seatrial.domain.credentials import EVERYTHING, Credentials, KeyScope, Principal, Reach
from seatrial.domain.errors import BadInput, Conflict, Forbidden, NotFound
from seatrial.domain.home import Home
from seatrial.domain.keys import KeyPlan, reach
from seatrial.domain.limits import KEY_FORGOTTEN_DAYS, KEY_SECRETS_MAX, KEY_USED_COARSE_MS
from seatrial.domain.objects import ObjectName
from seatrial.engine.keyring import Keyring
from seatrial.engine.keys import KIND, KeyMade, Keys
from seatrial.ports.sealer import SealBroken

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
OWNER = Credentials("STAAAAAAAAAAAAAAAAAA", "the owner's secret", "st_owner")
SHOP = KeyPlan("shop", frozenset({KeyScope.SUBMIT, KeyScope.READ}), frozenset({"floorplan"}), frozenset())


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    async def sleep_ms(self, duration_ms: int) -> None:
        self.ms += duration_ms


@dataclass
class Kept:
    """What a start makes of one data folder."""

    folder: Path
    registry: SqlRegistry
    clock: Clock

    async def start(self) -> tuple[Keys, Keyring]:
        keyring = Keyring(OWNER, self.clock)
        keys = Keys(self.registry, keyring, load_or_create_sealing_key(self.folder), self.clock)
        await keys.load()
        return keys, keyring


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    database: Database = await open_database(tmp_path / "seatrial.db", None)
    yield Kept(tmp_path, SqlRegistry(database), Clock())
    await database.close()


def opens(keyring: Keyring, made: KeyMade) -> tuple[bool, bool]:
    """Whether the API key, and the access key pair, are known."""
    found = keyring.by_access_key(made.access_key_id)
    return keyring.by_api_key(made.api_key) is not None, found is not None and found[0] == made.secret_access_key


async def test_a_key_is_who_it_was_made_for_and_neither_secret_is_kept_in_the_clear(kept: Kept) -> None:
    keys, keyring = await kept.start()
    made = await keys.create(SHOP)
    principal = keyring.by_api_key(made.api_key)
    assert principal == Principal("000000000000", made.key.id, SHOP.scopes, frozenset({"floorplan"}), frozenset())
    assert keyring.by_access_key(made.access_key_id) == (made.secret_access_key, principal)
    assert keyring.pair_of(principal) is not None
    everything = json.dumps(await kept.registry.documents(KIND)).encode()
    for file in kept.folder.iterdir():
        everything += file.read_bytes()
    assert made.access_key_id.encode() in everything
    assert made.api_key.encode() not in everything
    assert made.secret_access_key.encode() not in everything
    assert stat.S_IMODE((kept.folder / SEALING_KEY_FILE).stat().st_mode) == 0o600


async def test_the_next_start_knows_them(kept: Kept) -> None:
    made = await (await kept.start())[0].create(SHOP)
    keys, keyring = await kept.start()
    assert opens(keyring, made) == (True, True)
    assert keys.key(made.key.id).plan == SHOP
    assert keyring.by_api_key("st_owner") == keyring.owner


async def test_the_old_secrets_hold_for_the_overlap(kept: Kept) -> None:
    keys, keyring = await kept.start()
    old = await keys.create(SHOP)
    new = await keys.rotate(old.key.id, 2 * HOUR_MS)
    kept.clock.ms += 2 * HOUR_MS - 1
    assert (opens(keyring, old), opens(keyring, new)) == ((True, True), (True, True))
    kept.clock.ms += 1
    assert (opens(keyring, old), opens(keyring, new)) == ((False, False), (True, True))
    last = await keys.rotate(old.key.id, 0)
    assert (opens(keyring, new), opens(keyring, last)) == ((False, False), (True, True))
    for _ in range(KEY_SECRETS_MAX - 1):
        await keys.rotate(old.key.id, HOUR_MS)
    with pytest.raises(Conflict):
        await keys.rotate(old.key.id, HOUR_MS)


async def test_it_ends_when_it_expires_and_when_it_is_revoked(kept: Kept) -> None:
    keys, keyring = await kept.start()
    brief = await keys.create(KeyPlan("", SHOP.scopes, None, None, kept.clock.ms + 1_000))
    revoked = await keys.create(SHOP)
    await keys.revoke(revoked.key.id)
    assert (opens(keyring, brief), opens(keyring, revoked)) == ((True, True), (False, False))
    kept.clock.ms += 1_000
    assert opens(keyring, brief) == (False, False)
    assert keys.key(brief.key.id).state(kept.clock.ms) == "expired"
    with pytest.raises(Conflict):
        await keys.rotate(revoked.key.id, 0)
    _, after = await kept.start()
    assert (opens(after, brief), opens(after, revoked)) == ((False, False), (False, False))


async def test_a_smaller_reach_holds_from_then_on(kept: Kept) -> None:
    keys, keyring = await kept.start()
    made = await keys.create(SHOP)
    await keys.change(made.key.id, KeyPlan("shop", SHOP.scopes, frozenset(), frozenset()))
    principal = keyring.by_api_key(made.api_key)
    assert principal is not None
    assert not principal.reaches("floorplan")


async def test_uses_are_noted_coarsely_and_ended_keys_forgotten(kept: Kept) -> None:
    keys, keyring = await kept.start()
    used, idle = await keys.create(SHOP), await keys.create(SHOP)
    assert keyring.by_api_key(used.api_key)
    await keys.note()
    first = keys.key(used.key.id).last_used_at_ms
    assert first is not None
    assert kept.clock.ms - first < KEY_USED_COARSE_MS
    assert keys.key(idle.key.id).last_used_at_ms is None
    assert keyring.by_api_key(used.api_key)
    await keys.note()
    assert keys.key(used.key.id).last_used_at_ms == first
    await keys.revoke(idle.key.id)
    kept.clock.ms += KEY_FORGOTTEN_DAYS * DAY_MS
    await keys.note()
    with pytest.raises(NotFound):
        keys.key(idle.key.id)
    assert [name for name, _ in await kept.registry.documents(KIND)] == [used.key.id]


async def test_without_its_sealing_key_a_key_signs_no_more_until_it_is_rotated(kept: Kept) -> None:
    made = await (await kept.start())[0].create(SHOP)
    (kept.folder / SEALING_KEY_FILE).unlink()
    keys, keyring = await kept.start()
    assert opens(keyring, made) == (True, False)
    assert opens(keyring, await keys.rotate(made.key.id, 0)) == (True, True)
    (kept.folder / SEALING_KEY_FILE).write_text("not one")
    with pytest.raises(SealingKeyUnusable):
        load_or_create_sealing_key(kept.folder)


def test_what_is_sealed_opens_for_its_purpose_alone(tmp_path: Path) -> None:
    sealer = load_or_create_sealing_key(tmp_path)
    sealed = sealer.seal("secret", "a")
    assert sealer.open(sealed, "a") == "secret"
    assert sealer.seal("secret", "a") != sealed
    for text, purpose in ((sealed, "b"), (sealed[:-4] + "AAAA", "a"), ("?", "a"), ("", "a")):
        with pytest.raises(SealBroken):
            sealer.open(text, purpose)


@pytest.mark.parametrize(
    ("endpoints", "buckets", "wanted"),
    [
        (None, None, (None, None)),
        (["a"], None, ({"a"}, set())),
        (None, ["b"], (set(), {"b"})),
        (["*"], ["b"], (None, {"b"})),
        (["a"], ["*"], ({"a"}, None)),
        ([], None, (set(), set())),
    ],
)
def test_who_names_something_reaches_nothing_else(
    endpoints: Sequence[str] | None, buckets: Sequence[str] | None, wanted: tuple[object, object]
) -> None:
    assert reach(endpoints, buckets) == wanted


async def test_an_admin_has_no_reach_and_nobody_is_born_expired(kept: Kept) -> None:
    keys, _ = await kept.start()
    for plan in (
        KeyPlan("", frozenset({KeyScope.ADMIN}), frozenset({"a"}), frozenset()),
        KeyPlan("", SHOP.scopes, None, None, kept.clock.ms),
    ):
        with pytest.raises(BadInput):
            await keys.create(plan)


def test_a_refusal_says_which_command_allows_it() -> None:
    shop = SHOP_PRINCIPAL
    with pytest.raises(Forbidden) as missing:
        require(shop, KeyScope.DEPLOY, endpoint="floorplan")
    command = "seatrial keys change key_shop --scope read --scope submit --scope deploy"
    assert missing.value.details == {"scope": "deploy", "remedy": f"An admin allows it: {command}"}
    with pytest.raises(Forbidden) as outside:
        require(shop, KeyScope.READ, endpoint="echo")
    command = "seatrial keys change key_shop --endpoint floorplan --endpoint echo"
    assert outside.value.details == {"endpoint": "echo", "remedy": f"An admin allows it: {command}"}
    command = "seatrial keys change key_shop --bucket plans --bucket vault"  # as pasted, it takes nothing away
    assert outside_object(shop.reach, ObjectName("vault", "x")).details["remedy"] == f"An admin allows it: {command}"
    require(shop, KeyScope.DEPLOY, KeyScope.READ, endpoint="floorplan")


SHOP_PRINCIPAL = Principal("000000000000", "key_shop", SHOP.scopes, frozenset({"floorplan"}), frozenset({"plans"}))
HOME = Home("real", "st/")


@pytest.mark.parametrize(
    ("uri", "home", "within"),
    [
        ("s3://plans/any", None, True),
        ("s3://others/any", None, False),
        ("s3://seatrial-results/floorplan/x", None, True),
        ("s3://seatrial-results/floorplan-2/x", None, False),
        ("s3://seatrial-results/floorplan", None, False),
        ("s3://seatrial-results/", None, False),
        ("s3://.hidden/floorplan/x", None, True),
        ("s3://real/st/seatrial-results/floorplan/x", HOME, True),
        ("s3://real/st/seatrial-results/echo/x", HOME, False),
        ("s3://real/st/", HOME, False),
        ("s3://real/s", HOME, False),
    ],
)
def test_which_objects_are_in_reach(uri: str, home: Home | None, within: bool) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    assert reaches_object(SHOP_PRINCIPAL.reach, ObjectName(bucket, key), home) is within
    assert reaches_object(EVERYTHING, ObjectName(bucket, key), home)


def test_a_reach_is_kept_with_a_job_whole() -> None:
    for one in (SHOP_PRINCIPAL.reach, Reach("k", None, frozenset()), EVERYTHING):
        assert read_reach(reach_document(one)) == one
    assert read_reach(None) == EVERYTHING
