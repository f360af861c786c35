"""Operations on buckets' notification configurations."""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from seatrial.domain.access import require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import NotFound
from seatrial.domain.triggers import Origin, Trigger, TriggerKind
from seatrial.engine.trigger_acts import kept_reach
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.aws_lambda import names
from seatrial.http.dialects.s3 import event_records
from seatrial.http.dialects.s3 import notifications as dialect
from seatrial.http.doors.s3.call import Incoming, S3Call
from seatrial.http.services import Services

_LAMBDA = "arn:aws:lambda:"


class Notifications:
    """Get and Put; a Put replaces what the bucket had, and an empty one ends it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, call: S3Call) -> Response:
        """GetBucketNotificationConfiguration."""
        await self._services.objects.list(call.bucket, limit=1)
        found = await self._services.triggers.triggers(call.bucket, Origin.NOTIFICATION)
        return Response(dialect.configuration_document(found), media_type="application/xml")

    async def put(self, call: S3Call) -> Response:
        """PutBucketNotificationConfiguration: every destination has to be there, and none may overlap."""
        rules = dialect.read_configuration(await Incoming(call).document())
        await self._services.objects.list(call.bucket, limit=1)
        if self._services.home is not None:
            dialect.refuse_removals(rules)
        wanted = [await self._trigger(call, rule) for rule in rules]
        dialect.check_overlaps(wanted)
        known = {one.id for one in await self._services.triggers.triggers(call.bucket, Origin.NOTIFICATION)}
        await self._services.triggers.replace(call.bucket, Origin.NOTIFICATION, wanted)
        topics = {one.target for one in wanted if one.kind is TriggerKind.TOPIC and one.id not in known}
        for arn in sorted(topics):
            told = event_records.test_event(call.bucket, call.aws.request_id, self._services.clock.now_ms())
            await self._services.topics.publish(call.aws.principal.owner, arn, told, event_records.SUBJECT)
        return Response()

    async def _trigger(self, call: S3Call, rule: dialect.Rule) -> Trigger:
        principal = call.aws.principal
        endpoint = await self._endpoint(principal, rule.target) if rule.kind is TriggerKind.FUNCTION else None
        owner = principal.owner
        if rule.kind is TriggerKind.TOPIC:
            await self._check_topic(owner, rule.target)
        parts = (call.bucket, rule.name, rule.target, *sorted(rule.events), rule.prefix, rule.suffix, owner)
        return Trigger(
            id=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32],
            owner=owner,
            bucket=call.bucket,
            kind=rule.kind,
            target=rule.target,
            origin=Origin.NOTIFICATION,
            name=rule.name,
            created_at_ms=self._services.clock.now_ms(),
            events=rule.events,
            prefix=rule.prefix,
            suffix=rule.suffix,
            options=kept_reach(principal.reach) | ({} if endpoint is None else {"endpoint": endpoint}),
        )

    async def _check_topic(self, owner: str, arn: str) -> None:
        try:
            await self._services.topics.topic(owner, arn)
        except NotFound:
            raise dialect.unknown_destination(arn, "there is no such topic") from None

    async def _endpoint(self, principal: Principal, arn: str) -> str:
        """The endpoint that a function's ARN means. Raises AwsError: InvalidArgument; Forbidden."""
        if not arn.startswith(_LAMBDA):
            raise dialect.unknown_destination(arn, "it is no ARN of a function (arn:aws:lambda:…:function:NAME)")
        asked = names.read_name(arn, None)
        if asked.account_id not in (None, self._services.keyring.credentials.account_id):
            raise _no_function(arn)
        require(principal, KeyScope.DEPLOY, endpoint=asked.name)
        try:
            return (await self._services.deployer.endpoint(asked.name)).name
        except NotFound:
            raise _no_function(arn) from None


def _no_function(arn: str) -> AwsError:
    return dialect.unknown_destination(arn, "there is no such function")
