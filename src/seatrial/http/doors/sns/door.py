"""The operations of Amazon SNS that are offered, for boto3 and `aws sns`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import OUT_OF_REACH, Forbidden, SeatrialError
from seatrial.domain.limits import TOPIC_LIST_PAGE, TOPIC_SUBJECT_CHARS_MAX
from seatrial.http import aws_query
from seatrial.http.aws_json import Operation
from seatrial.http.aws_request import AwsRequest
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.sns import attributes as dialect
from seatrial.http.dialects.sns.errors import INVALID_PARAMETER, check_batch, invalid, refused
from seatrial.http.services import Services

Request = dict[str, Any]


class SnsDoor:
    """Topics belong to who made them."""

    def __init__(self, services: Services) -> None:
        self._shapes = ServiceShapes("sns")
        self._topics = services.topics
        self._operations: Mapping[str, Operation] = {
            "ConfirmSubscription": Operation(self._confirm, (KeyScope.DEPLOY,)),
            "CreateTopic": Operation(self._create, (KeyScope.DEPLOY,)),
            "DeleteTopic": Operation(self._delete, (KeyScope.DEPLOY,)),
            "GetSubscriptionAttributes": Operation(self._subscription_attributes, (KeyScope.READ,)),
            "GetTopicAttributes": Operation(self._topic_attributes, (KeyScope.READ,)),
            "ListSubscriptions": Operation(self._list_subscriptions, (KeyScope.READ,)),
            "ListSubscriptionsByTopic": Operation(self._list_subscriptions, (KeyScope.READ,)),
            "ListTopics": Operation(self._list, (KeyScope.READ,)),
            "PublishBatch": Operation(self._publish_batch, (KeyScope.SUBMIT, KeyScope.DEPLOY)),
            "Publish": Operation(self._publish, (KeyScope.SUBMIT, KeyScope.DEPLOY)),
            "SetSubscriptionAttributes": Operation(self._set_subscription, (KeyScope.DEPLOY,)),
            "SetTopicAttributes": Operation(self._set_topic, (KeyScope.DEPLOY,)),
            "Subscribe": Operation(self._subscribe, (KeyScope.DEPLOY,)),
            "Unsubscribe": Operation(self._unsubscribe, (KeyScope.DEPLOY,)),
        }

    async def __call__(self, call: AwsRequest) -> Response:
        """Answer one request. Raises AwsError, Forbidden."""
        _check_reach(call.principal)
        try:
            return await aws_query.serve(call, self._shapes, self._operations, INVALID_PARAMETER)
        except Forbidden:
            raise
        except SeatrialError as error:
            raise refused(error) from None

    # ------------------------------------------------------------------ topics

    async def _create(self, call: AwsRequest, request: Request) -> Request:
        for name in ("Tags", "DataProtectionPolicy"):
            if request.get(name):
                raise invalid(f"{name} is not offered here.")
        given = request.get("Attributes", {})
        dialect.check_topic(given)
        topic = await self._topics.create(call.principal.owner, request["Name"], given)
        if any(topic.attributes.get(name) != value for name, value in given.items()):
            raise invalid("Attributes Reason: Topic already exists with different attributes")
        return {"TopicArn": topic.arn}

    async def _delete(self, call: AwsRequest, request: Request) -> None:
        await self._topics.remove_topic(call.principal.owner, request["TopicArn"])

    async def _list(self, call: AwsRequest, request: Request) -> Request:
        arns = [topic.arn for topic in await self._topics.topics(call.principal.owner)]
        page, token = _page(arns, request)
        return {"Topics": [{"TopicArn": arn} for arn in page], **token}

    async def _topic_attributes(self, call: AwsRequest, request: Request) -> Request:
        owner, arn = call.principal.owner, request["TopicArn"]
        topic = await self._topics.topic(owner, arn)
        return {"Attributes": dialect.of_topic(topic, await self._topics.subscriptions(owner, arn))}

    async def _set_topic(self, call: AwsRequest, request: Request) -> None:
        name, value = request["AttributeName"], request.get("AttributeValue", "")
        dialect.check_topic({name: value})
        await self._topics.set_topic(call.principal.owner, request["TopicArn"], name, value)

    # ------------------------------------------------------------------ subscriptions

    async def _subscribe(self, call: AwsRequest, request: Request) -> Request:
        given = request.get("Attributes", {})
        dialect.check_subscription(given)
        made = await self._topics.subscribe(
            call.principal.owner, request["TopicArn"], request["Protocol"], request.get("Endpoint", ""), given
        )
        shown = made.confirmed or request.get("ReturnSubscriptionArn", False)
        return {"SubscriptionArn": made.arn if shown else "pending confirmation"}

    async def _confirm(self, call: AwsRequest, request: Request) -> Request:
        return {"SubscriptionArn": (await self._topics.confirm(request["TopicArn"], request["Token"])).arn}

    async def _unsubscribe(self, call: AwsRequest, request: Request) -> None:
        await self._topics.unsubscribe(call.principal.owner, request["SubscriptionArn"])

    async def _list_subscriptions(self, call: AwsRequest, request: Request) -> Request:
        found = await self._topics.subscriptions(call.principal.owner, request.get("TopicArn"))
        by_arn = {one.arn: one for one in found}
        page, token = _page(list(by_arn), request)
        return {"Subscriptions": [dialect.entry(by_arn[arn]) for arn in page], **token}

    async def _subscription_attributes(self, call: AwsRequest, request: Request) -> Request:
        found = await self._topics.subscription(call.principal.owner, request["SubscriptionArn"])
        return {"Attributes": dialect.of_subscription(found)}

    async def _set_subscription(self, call: AwsRequest, request: Request) -> None:
        name, value = request["AttributeName"], request.get("AttributeValue", "")
        dialect.check_subscription({name: value})
        await self._topics.set_subscription(call.principal.owner, request["SubscriptionArn"], name, value)

    # ------------------------------------------------------------------ publishing

    async def _publish(self, call: AwsRequest, request: Request) -> Request:
        arn = request.get("TopicArn") or request.get("TargetArn")
        if arn is None:
            raise invalid("TopicArn: topics are published to here, not phones.")
        message_id = await self._topics.publish(
            call.principal.owner, arn, _message(request), _subject(request), request.get("MessageAttributes")
        )
        return {"MessageId": message_id}

    async def _publish_batch(self, call: AwsRequest, request: Request) -> Request:
        """Each entry by itself: what is wrong with one is told beside what was published."""
        entries = request["PublishBatchRequestEntries"]
        check_batch([entry["Id"] for entry in entries], sum(len(entry["Message"].encode()) for entry in entries))
        await self._topics.topic(call.principal.owner, request["TopicArn"])
        done: list[Request] = []
        failed: list[Request] = []
        for entry in entries:
            try:
                told = await self._publish(call, {**entry, "TopicArn": request["TopicArn"]})
                done.append({"Id": entry["Id"], "MessageId": told["MessageId"]})
            except (AwsError, SeatrialError) as error:
                one = refused(error) if isinstance(error, SeatrialError) else error
                failed.append({"Id": entry["Id"], "Code": one.code, "Message": one.message, "SenderFault": True})
        return {"Successful": done, "Failed": failed}


def _check_reach(principal: Principal) -> None:
    """A topic may carry what any endpoint tells. Raises Forbidden."""
    if principal.endpoints is not None and KeyScope.ADMIN not in principal.scopes:
        remedy = "Use a key that reaches every endpoint: seatrial keys create, without --endpoint"
        message = f"{principal.said} reaches some endpoints, and topics tell of all."
        raise Forbidden(OUT_OF_REACH, message, details={"remedy": remedy})


def _message(request: Request) -> str:
    """The message for http and https; of a structure "json" the text that is meant for them."""
    message: str = request["Message"]
    if "MessageStructure" not in request:
        return message
    if request["MessageStructure"] != "json":
        raise invalid("MessageStructure must be json.")
    try:
        texts = json.loads(message)
    except ValueError:
        texts = None
    if not isinstance(texts, dict) or not isinstance(texts.get("default"), str):
        raise invalid("Message Structure - No default entry in JSON message body")
    return str(texts["default"])


def _subject(request: Request) -> str | None:
    subject: str | None = request.get("Subject")
    if subject is None:
        return None
    if not subject or len(subject) > TOPIC_SUBJECT_CHARS_MAX or not subject.isascii() or not subject.isprintable():
        raise invalid(f"Subject must be 1 to {TOPIC_SUBJECT_CHARS_MAX} printable ASCII characters.")
    return subject


def _page(names: Sequence[str], request: Request) -> tuple[Sequence[str], dict[str, str]]:
    """A page of names in order; its token is the last name of it."""
    after = request.get("NextToken", "")
    rest = [name for name in names if name > after]
    page = rest[:TOPIC_LIST_PAGE]
    return page, ({"NextToken": page[-1]} if len(rest) > len(page) else {})
