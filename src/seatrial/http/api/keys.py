"""`/v1/keys`: API keys with scopes and reach. Only an admin key gets here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from seatrial.domain import errors
from seatrial.domain.credentials import GIVEN_SCOPES, KeyScope
from seatrial.domain.errors import BadInput
from seatrial.domain.keys import Key, KeyPlan, KeyState, reach
from seatrial.domain.limits import (
    KEY_NAME_CHARS_MAX,
    KEY_OVERLAP_HOURS_DEFAULT,
    KEY_OVERLAP_HOURS_MAX,
    KEY_REACH_MAX,
)
from seatrial.engine.keys import KeyMade
from seatrial.http.api.views import instant, maybe_instant
from seatrial.http.auth import needs
from seatrial.http.services import Services

_HOUR_MS = 3_600_000
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Names = Annotated[list[Name], Field(max_length=KEY_REACH_MAX)]
Scope = Literal["submit", "read", "deploy", "worker", "admin"]


class KeyWanted(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=KEY_NAME_CHARS_MAX, description="What people call it.")
    scopes: list[Scope] = Field(
        min_length=1,
        description="submit: jobs and their objects. read: jobs, results, objects, logs, figures. deploy: endpoints. "
        "worker: take and finish jobs from outside. admin: everything.",
    )
    endpoints: Names | None = Field(
        None, description='The endpoints that it reaches; "*": all. null: all, or none if buckets are named.'
    )
    buckets: Names | None = Field(
        None, description='The buckets that it reaches; "*": all. null: all, or none if endpoints are named.'
    )
    expires_at: datetime | None = Field(None, description="When it ends by itself; null: never.")

    def plan(self) -> KeyPlan:
        """As the engine understands it."""
        endpoints, buckets = reach(self.endpoints, self.buckets)
        return KeyPlan(self.name, _scopes(self.scopes), endpoints, buckets, _ms(self.expires_at))


class KeyChange(BaseModel):
    """What is to be different; what is not named stays. `endpoints` and `buckets` are named together."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=KEY_NAME_CHARS_MAX)
    scopes: list[Scope] | None = Field(None, min_length=1)
    endpoints: Names | None = Field(None, description='"*": all. With this or buckets given, the other is replaced.')
    buckets: Names | None = Field(None, description='"*": all. With this or endpoints given, the other is replaced.')
    expires_at: datetime | None = Field(None, description="null: never.")

    def plan(self, before: KeyPlan) -> KeyPlan:
        """The plan that follows."""
        given = self.model_fields_set
        endpoints, buckets = before.endpoints, before.buckets
        if given & {"endpoints", "buckets"}:
            endpoints, buckets = reach(self.endpoints, self.buckets)
        return KeyPlan(
            before.name if self.name is None else self.name,
            before.scopes if self.scopes is None else _scopes(self.scopes),
            endpoints,
            buckets,
            _ms(self.expires_at) if "expires_at" in given else before.expires_at_ms,
        )


class KeyRotation(BaseModel):
    """How the old secrets end."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: float = Field(
        KEY_OVERLAP_HOURS_DEFAULT,
        ge=0,
        le=KEY_OVERLAP_HOURS_MAX,
        allow_inf_nan=False,
        description="For how long the old secrets still hold; 0: they end at once.",
    )


class SecretView(BaseModel):
    """One generation of a key's secrets, without the secrets."""

    access_key_id: str
    api_key_ends_with: str
    created_at: str
    until: str | None = Field(None, description="When its overlap ends; null: it is the current one.")


class KeyView(BaseModel):
    """A key, without its secrets."""

    id: str
    name: str
    state: KeyState
    scopes: list[str]
    endpoints: list[str] | None = Field(description="null: all.")
    buckets: list[str] | None = Field(description="null: all.")
    created_at: str
    expires_at: str | None
    last_used_at: str | None = Field(description="May be ten minutes behind.")
    revoked_at: str | None
    secrets: list[SecretView]

    @classmethod
    def of(cls, key: Key, now_ms: int) -> KeyView:
        """The view of a key."""
        plan = key.plan
        return cls(
            id=key.id,
            name=plan.name,
            state=key.state(now_ms),
            scopes=[scope.value for scope in GIVEN_SCOPES if scope in plan.scopes],
            endpoints=None if plan.endpoints is None else sorted(plan.endpoints),
            buckets=None if plan.buckets is None else sorted(plan.buckets),
            created_at=instant(key.created_at_ms),
            expires_at=maybe_instant(plan.expires_at_ms),
            last_used_at=maybe_instant(key.last_used_at_ms),
            revoked_at=maybe_instant(key.revoked_at_ms),
            secrets=[
                SecretView(
                    access_key_id=one.access_key_id,
                    api_key_ends_with=one.api_key_hint,
                    created_at=instant(one.created_at_ms),
                    until=maybe_instant(one.until_ms),
                )
                for one in key.secrets
                if one.until_ms is None or one.until_ms > now_ms
            ],
        )


class KeyList(BaseModel):
    """All keys, the oldest first; those that ended 90 days ago are forgotten."""

    keys: list[KeyView]


class KeyMadeView(BaseModel):
    """A key with its secrets: this answer is the only place where they are ever told."""

    key: KeyView
    api_key: str = Field(description="Authorization: Bearer …, or as it is (RunPod's workers), or X-API-Key.")
    access_key_id: str = Field(description="AWS_ACCESS_KEY_ID, for every AWS client.")
    secret_access_key: str = Field(description="AWS_SECRET_ACCESS_KEY.")

    @classmethod
    def of(cls, made: KeyMade, now_ms: int) -> KeyMadeView:
        """The view of a key that was just made, or rotated."""
        return cls(
            key=KeyView.of(made.key, now_ms),
            api_key=made.api_key,
            access_key_id=made.access_key_id,
            secret_access_key=made.secret_access_key,
        )


class KeyRoutes:
    """What admins do with keys."""

    def __init__(self, services: Services) -> None:
        self._keys = services.keys
        self._clock = services.clock

    def router(self) -> APIRouter:
        """The routes, under /v1/keys."""
        router = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=[needs(KeyScope.ADMIN)])
        add = router.add_api_route
        add("", self.create, methods=["POST"], status_code=201, summary="Make a key")
        add("", self.list, methods=["GET"], summary="List keys")
        add("/{id}", self.show, methods=["GET"], summary="Show a key")
        add("/{id}", self.change, methods=["PATCH"], summary="Change what a key may do")
        add("/{id}/rotate", self.rotate, methods=["POST"], summary="Make new secrets for a key")
        add("/{id}", self.revoke, methods=["DELETE"], summary="Revoke a key")
        return router

    async def create(self, wanted: KeyWanted) -> KeyMadeView:
        """Its secrets are in this answer and nowhere else."""
        return KeyMadeView.of(await self._keys.create(wanted.plan()), self._clock.now_ms())

    async def list(self) -> KeyList:
        """Also those that are expired or revoked, for 90 days."""
        return KeyList(keys=[self._view(key) for key in self._keys.all()])

    async def show(self, id: str) -> KeyView:
        """What it may do, and when it was last used."""
        return self._view(self._keys.key(id))

    async def change(self, id: str, wanted: KeyChange) -> KeyView:
        """Holds from now on, also for the URLs that it signed before."""
        return self._view(await self._keys.change(id, wanted.plan(self._keys.key(id).plan)))

    async def rotate(self, id: str, wanted: KeyRotation | None = None) -> KeyMadeView:
        """The old secrets hold on for the overlap."""
        hours = (wanted or KeyRotation()).overlap_hours
        made = await self._keys.rotate(id, round(hours * _HOUR_MS))
        return KeyMadeView.of(made, self._clock.now_ms())

    async def revoke(self, id: str) -> KeyView:
        """It ends at once and for good, with the URLs that it signed."""
        return self._view(await self._keys.revoke(id))

    def _view(self, key: Key) -> KeyView:
        return KeyView.of(key, self._clock.now_ms())


def _scopes(given: Sequence[str]) -> frozenset[KeyScope]:
    return frozenset(KeyScope(scope) for scope in given)


def _ms(at: datetime | None) -> int | None:
    if at is None:
        return None
    try:
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        valid = "a time such as 2027-01-31T12:00:00Z"
        raise BadInput(errors.INVALID_FIELD, "This is no time.", field="expires_at", valid=valid) from None
