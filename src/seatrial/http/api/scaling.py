"""How the workers of an endpoint are scaled: looked at, set, and left alone."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from seatrial.domain.credentials import KeyScope
from seatrial.domain.limits import (
    SCALING_BACKLOG_DEFAULT,
    SCALING_COOLDOWN_SECONDS_DEFAULT,
    SCALING_COOLDOWN_SECONDS_MAX,
    WORKERS_PER_ENDPOINT_MAX,
)
from seatrial.domain.scaling import Policy, ScalingSettings, Tracking
from seatrial.http.api.views import instant
from seatrial.http.auth import needs
from seatrial.http.services import Services

CHANGES_SHOWN = 10


class ScalingAsked(BaseModel):
    """What to scale by. It takes the place of every other plan and policy of the endpoint."""

    model_config = ConfigDict(extra="forbid")

    min: int = Field(ge=0, le=WORKERS_PER_ENDPOINT_MAX, description="Workers that there are always; 0 is possible.")
    max: int = Field(ge=0, le=WORKERS_PER_ENDPOINT_MAX, description="Workers at the most.")
    backlog_per_worker: float = Field(
        SCALING_BACKLOG_DEFAULT, gt=0, allow_inf_nan=False, description="Jobs, queued and running, for each worker."
    )
    scale_in_seconds: int = Field(
        SCALING_COOLDOWN_SECONDS_DEFAULT,
        ge=0,
        le=SCALING_COOLDOWN_SECONDS_MAX,
        description="So long fewer workers must have been wanted before some leave.",
    )
    scale_out_seconds: int = Field(
        0, ge=0, le=SCALING_COOLDOWN_SECONDS_MAX, description="So long the same growth is not repeated."
    )

    def settings(self) -> ScalingSettings:
        """As the engine takes them."""
        return ScalingSettings(
            self.min, self.max, self.backlog_per_worker, self.scale_in_seconds, self.scale_out_seconds
        )


class PolicyView(BaseModel):
    """A rule of a plan."""

    name: str
    kind: str = Field(description="tracking: so many jobs for each worker; step: run by an alarm.")
    backlog_per_worker: float | None = None
    scale_in_seconds: int | None = None
    scale_out_seconds: int | None = None

    @classmethod
    def of(cls, policy: Policy) -> PolicyView:
        """The view of a policy."""
        rule = policy.rule
        if not isinstance(rule, Tracking):
            return cls(name=policy.name, kind="step")
        return cls(
            name=policy.name,
            kind="tracking",
            backlog_per_worker=rule.target,
            scale_in_seconds=rule.scale_in_seconds,
            scale_out_seconds=rule.scale_out_seconds,
        )


class ChangeView(BaseModel):
    """A change of the number of workers."""

    at: str
    before: int
    after: int
    cause: str


class ScalingView(BaseModel):
    """How an endpoint is scaled now. `min` null: it is not; its number of workers is fixed."""

    min: int | None
    max: int | None
    policies: list[PolicyView]
    suspended: list[str] = Field(description="Directions that are suspended: in, out.")
    desired: int = Field(description="Workers that there should be.")
    ready: int = Field(description="Workers that take work.")
    queued: int
    running: int
    held_back: str | None = Field(None, description="Why there are fewer workers than its policies want.")
    changes: list[ChangeView] = Field(description="The last changes, newest first.")


class ScalingRoutes:
    """What people and tools do with the scaling of an endpoint."""

    def __init__(self, services: Services) -> None:
        self._scaler = services.scaler

    def router(self) -> APIRouter:
        """The routes, under /v1/endpoints/{name}/scaling."""
        router = APIRouter(prefix="/v1/endpoints/{name}", tags=["endpoints"])
        look, change = [needs(KeyScope.READ, KeyScope.DEPLOY)], [needs(KeyScope.DEPLOY)]
        path = "/scaling"
        router.add_api_route(path, self.look, methods=["GET"], summary="How it is scaled", dependencies=look)
        router.add_api_route(path, self.put, methods=["PUT"], summary="Scale with the backlog", dependencies=change)
        router.add_api_route(
            path, self.delete, methods=["DELETE"], summary="Scale no more", status_code=200, dependencies=change
        )
        return router

    async def look(self, name: str) -> ScalingView:
        """The plan in force, what it sees, and what it did last."""
        standing = await self._scaler.standing(name)
        plan = standing.plan
        return ScalingView(
            min=None if plan is None else plan.minimum,
            max=None if plan is None else plan.maximum,
            policies=[] if plan is None else [PolicyView.of(one) for one in plan.policies],
            suspended=[] if plan is None else ["in"] * plan.paused_in + ["out"] * plan.paused_out,
            desired=standing.desired,
            ready=standing.ready,
            queued=standing.backlog.queued,
            running=standing.backlog.running,
            held_back=standing.held_back,
            changes=[_change(one.at_ms, one.details) for one in await self._scaler.activities(name, CHANGES_SHOWN)],
        )

    async def put(self, name: str, asked: ScalingAsked) -> ScalingView:
        """The number of workers follows the backlog from now on, between `min` (0 is possible) and `max`."""
        await self._scaler.set_plan(name, asked.settings())
        return await self.look(name)

    async def delete(self, name: str) -> ScalingView:
        """The number of workers stays as it is now."""
        await self._scaler.drop_plan(name)
        return await self.look(name)


def _change(at_ms: int, details: Any) -> ChangeView:
    return ChangeView(at=instant(at_ms), before=details["from"], after=details["to"], cause=details["cause"])
