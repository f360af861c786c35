"""Triggers that turn objects into jobs: whether one can be, and those that an endpoint's package brings along.

A package's triggers stand while its version is the active one, from the moment that it takes ordinary jobs.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from seatrial.domain import errors
from seatrial.domain.access import outside_object, reaches_object, read_reach
from seatrial.domain.credentials import Reach
from seatrial.domain.endpoint import EndpointStatus, EndpointVersion, VersionSettings
from seatrial.domain.errors import BadInput, Conflict, SeatrialError, Unproven
from seatrial.domain.home import Home
from seatrial.domain.limits import TRIGGERS_PER_BUCKET_MAX
from seatrial.domain.objects import ObjectName
from seatrial.domain.triggers import (
    CREATED_EVENTS,
    REMOVED_EVENTS,
    WHOLE_OBJECT,
    Origin,
    Trigger,
    TriggerKind,
    TriggerWish,
)
from seatrial.engine.directory import Directory
from seatrial.engine.result_names import JOB_ID, check_result_name, check_result_reach
from seatrial.engine.submit import RESULTS_BUCKET
from seatrial.engine.trigger_acts import kept_reach
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import NoSuchBucket, ObjectStore
from seatrial.ports.triggers import TriggerStore


class Triggers:
    """Those that lead to endpoints; what buckets' notification configurations say is S3's door's own."""

    def __init__(
        self,
        store: TriggerStore,
        objects: ObjectStore,
        directory: Directory,
        clock: Clock,
        function_arn: Callable[[str], str],
        home: Home | None,
        *,
        buckets_stay: bool,
    ) -> None:
        """`home`: where the server's own buckets lie in an S3 service; `buckets_stay`: this server is not only there
        for one trial."""
        self._store = store
        self._objects = objects
        self._directory = directory
        self._clock = clock
        self._function_arn = function_arn
        self._home = home
        self._buckets_stay = buckets_stay
        self._turn = asyncio.Lock()

    async def check(self, wish: TriggerWish, endpoint: str, settings: VersionSettings, reach: Reach) -> None:
        """Hold a wish to be possible for an endpoint with these settings.

        Raises:
            BadInput: a field is not valid, there is no such bucket, or results would set it off again.
            Conflict: the bucket has no room for one more.
            Forbidden: it names a place beyond the reach.
        """
        place = ObjectName(wish.bucket, wish.prefix)
        if not reaches_object(reach, place, self._home):
            raise outside_object(reach, place)
        await self._check_bucket(wish.bucket)
        unseen = wish.event == WHOLE_OBJECT or self._home is not None  # that objects go
        valid = CREATED_EVENTS if unseen else (*CREATED_EVENTS, *REMOVED_EVENTS)
        for event in wish.events:
            if event not in valid:
                raise BadInput(
                    errors.INVALID_FIELD, f"{event!r} sets nothing off.", field="events", valid=", ".join(valid)
                )
        if wish.result is not None:
            check_result_name(wish.result)
            check_result_reach(wish.result, reach, self._home)
        results = settings.output_prefix or ObjectName(RESULTS_BUCKET, f"{endpoint}/")
        _check_loop(wish, {results.uri, (settings.failure_prefix or results).uri})
        if len(await self._store.triggers(wish.bucket)) >= TRIGGERS_PER_BUCKET_MAX:
            message = f"{wish.bucket!r} has {TRIGGERS_PER_BUCKET_MAX} triggers, the most of one bucket."
            raise Conflict(errors.TRIGGERS_TOO_MANY, message)

    def made(
        self, wish: TriggerWish, endpoint: str, owner: str, reach: Reach, origin: Origin = Origin.SETTING
    ) -> Trigger:
        """The trigger of a wish; its id is always the same for the same name."""
        is_object = wish.event == WHOLE_OBJECT
        options = {"task": wish.task, "media_type": wish.media_type, "result": wish.result}
        if not is_object:
            options |= {"endpoint": endpoint, "event": wish.event}
        name = wish.name or uuid.uuid4().hex
        whose = owner if origin is Origin.SETTING else f"{owner} {endpoint}"
        return Trigger(
            id=uuid.uuid5(uuid.NAMESPACE_URL, f"{whose} {wish.bucket} {name}").hex,
            owner=owner,
            bucket=wish.bucket,
            kind=TriggerKind.ENDPOINT if is_object else TriggerKind.FUNCTION,
            target=endpoint if is_object else self._function_arn(endpoint),
            origin=origin,
            name=name,
            created_at_ms=self._clock.now_ms(),
            events=frozenset(wish.events),
            prefix=wish.prefix,
            suffix=wish.suffix,
            options={key: value for key, value in options.items() if value is not None} | kept_reach(reach),
        )

    # ------------------------------------------------------------------ those of packages

    async def check_package(self, version: EndpointVersion) -> None:
        """Hold the triggers of a package to be possible, before its version is loaded. Raises Unproven."""
        reach = read_reach(version.settings.reach)
        for number, wish in enumerate(version.settings.triggers, start=1):
            try:
                await self.check(wish, version.endpoint_name, version.settings, reach)
            except SeatrialError as error:
                where = f"seatrial.toml [[triggers]] {number}"
                valid = getattr(error, "valid", None)
                remedy = f"Correct [[triggers]] {number} and deploy again" + (f": {valid}." if valid else ".")
                raise Unproven("inspect", f"{where}: {error.message}", details={"remedy": remedy}) from None

    async def follow(self, endpoint_name: str) -> None:
        """The triggers of the active version's package stand, and no others of the endpoint's packages."""
        async with self._turn:
            wanted = self._wanted(endpoint_name)
            for trigger in wanted:
                await self._store.put(trigger)
            ids = {one.id for one in wanted}
            for one in await self._store.triggers(origin=Origin.PACKAGE):
                if one.endpoint == endpoint_name and one.id not in ids:
                    await self._store.remove(one.id)

    def _wanted(self, endpoint_name: str) -> list[Trigger]:
        if not self._directory.has(endpoint_name):
            return []
        endpoint = self._directory.endpoint(endpoint_name)
        serving = endpoint.active_version or endpoint.last_version  # events wait while it is out of service
        if serving is None or endpoint.status is EndpointStatus.DELETING:
            return []
        settings = self._directory.version(serving).version.settings
        reach = read_reach(settings.reach)
        return [self.made(one, endpoint_name, endpoint.owner, reach, Origin.PACKAGE) for one in settings.triggers]

    async def _check_bucket(self, bucket: str) -> None:
        try:
            if self._buckets_stay:
                await self._objects.list(bucket, limit=1)
        except NoSuchBucket:
            raise BadInput(
                errors.INVALID_FIELD,
                f"There is no bucket {bucket!r}.",
                field="bucket",
                valid=f"a bucket that is there: aws s3 mb s3://{bucket}",
            ) from None


def _check_loop(wish: TriggerWish, prefixes: set[str]) -> None:
    """An endpoint whose results, or failures, set itself off would never stop."""
    places = prefixes if wish.result is None else {wish.result, *prefixes}
    for place in sorted(places):
        if place.startswith("s3://") and _may_feed(wish, place):
            raise BadInput(
                errors.TRIGGER_LOOP,
                f"Results that go to {place} would set this trigger off again, for ever.",
                field="result" if place == wish.result else "prefix",
                valid="another bucket, or a prefix or suffix that results do not have",
            )


def _may_feed(wish: TriggerWish, place: str) -> bool:
    """Whether an object below the place, or of that very name, may set the trigger off."""
    bucket, _, key = place.removeprefix("s3://").partition("/")
    before, _, after = key.partition(JOB_ID)
    if bucket != wish.bucket or not (before.startswith(wish.prefix) or wish.prefix.startswith(before)):
        return False
    return place != wish.result or after.endswith(wish.suffix) or wish.suffix.endswith(after)
