"""Who may call: the owner by one key pair and API key, endpoints' workers by derived ones, others by keys made."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

WORKER_KEY_PREFIX = "STWK"


class KeyScope(StrEnum):
    """What a key may do. `admin` may do everything, everywhere; no other scope implies another."""

    SUBMIT = "submit"  # jobs, their cancel and retry, and the objects that they need
    READ = "read"  # jobs, results, objects, logs, figures
    DEPLOY = "deploy"  # endpoints, their versions and canaries
    WORKER = "worker"  # take and finish jobs from outside
    ADMIN = "admin"  # keys, backups
    OBJECTS = "objects"  # of an endpoint's own workers alone: the objects that they need, never given to a key


ROOT = "root"  # the id of the owner's own keys
GIVEN_SCOPES = tuple(scope for scope in KeyScope if scope is not KeyScope.OBJECTS)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The owner's keys, made once per data folder."""

    access_key_id: str
    secret_access_key: str
    api_key: str
    account_id: str = "000000000000"
    region: str = "us-east-1"
    webhook_secret: str = ""  # what receivers of webhooks verify with: `whsec_` and base64


@dataclass(frozen=True, slots=True)
class Reach:
    """The endpoints and buckets that a key may touch; None: all of them."""

    key_id: str
    endpoints: frozenset[str] | None = None
    buckets: frozenset[str] | None = None

    @property
    def whole(self) -> bool:
        """True when it reaches everything."""
        return self.endpoints is None and self.buckets is None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from: by which key, with what scopes and reach (None: everything).

    `worker_of` set: a worker of that endpoint on this server, which reaches objects and nothing else.
    """

    owner: str
    key_id: str
    scopes: frozenset[KeyScope]
    endpoints: frozenset[str] | None = None
    buckets: frozenset[str] | None = None
    worker_of: str | None = None

    def reaches(self, endpoint: str) -> bool:
        """Whether the endpoint is in its reach."""
        return self.endpoints is None or endpoint in self.endpoints

    def reaches_bucket(self, bucket: str) -> bool:
        """Whether the bucket is in its reach; of the server's own ones, reach goes by key."""
        return self.buckets is None or bucket in self.buckets

    @property
    def reach(self) -> Reach:
        """What it may touch."""
        return Reach(self.key_id, self.endpoints, self.buckets)

    @property
    def said(self) -> str:
        """How messages name it."""
        return f"key {self.key_id!r}" if self.worker_of is None else f"a worker of endpoint {self.worker_of!r}"


EVERYTHING = Reach(ROOT)


def owner_of(account_id: str) -> Principal:
    """The owner, by the keys of the data folder."""
    return Principal(account_id, ROOT, frozenset(GIVEN_SCOPES))


def worker_of(account_id: str, endpoint: str) -> Principal:
    """A worker of an endpoint on this server."""
    return Principal(
        account_id, f"worker/{endpoint}", frozenset({KeyScope.OBJECTS}), frozenset({endpoint}), worker_of=endpoint
    )


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An AWS-style key pair."""

    access_key_id: str
    secret_access_key: str


def worker_pair(credentials: Credentials, endpoint_name: str) -> KeyPair:
    """The key pair that an endpoint's workers get: derived from the owner's secret, not stored."""
    name = base64.b32encode(endpoint_name.encode()).decode().rstrip("=")
    access_key_id = WORKER_KEY_PREFIX + name
    return KeyPair(access_key_id, _derive(credentials, access_key_id))


def worker_of_access_key(credentials: Credentials, access_key_id: str) -> tuple[str, Principal] | None:
    """The secret and the principal of a worker's access key; None: it is no such key."""
    if not access_key_id.startswith(WORKER_KEY_PREFIX):
        return None
    name = access_key_id.removeprefix(WORKER_KEY_PREFIX)
    try:
        endpoint = base64.b32decode(name + "=" * (-len(name) % 8)).decode()
    except ValueError:
        return None
    return _derive(credentials, access_key_id), worker_of(credentials.account_id, endpoint)


def _derive(credentials: Credentials, access_key_id: str) -> str:
    key = credentials.secret_access_key.encode()
    digest = hmac.new(key, b"worker:" + access_key_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
