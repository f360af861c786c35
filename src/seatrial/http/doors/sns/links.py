"""The URLs that envelopes carry, which are asked for without a signature: to confirm, to leave, and the certificate.

Who knows the token of a subscription has read what was sent to its address; nothing else is needed.
"""

from __future__ import annotations

import uuid
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from seatrial.domain.errors import SeatrialError
from seatrial.http import aws_query
from seatrial.http.aws_shapes import ServiceShapes
from seatrial.http.dialects.aws_errors import AwsError, Protocol, error_response, unavailable
from seatrial.http.dialects.sns.errors import invalid, refused
from seatrial.http.doors.sns.words import certificate_path
from seatrial.http.services import Services
from seatrial.ports.storage import StoreUnavailable

_ACTIONS = frozenset({"ConfirmSubscription", "Unsubscribe"})
_PATH_PREFIX = "/SimpleNotificationService-"  # no bucket has capital letters


def is_sns_link(scope: Scope) -> bool:
    """True for a GET of one of these URLs."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    path: str = scope["path"]
    if path.startswith(_PATH_PREFIX):
        return True
    query: bytes = scope["query_string"]
    if path != "/" or b"Action=" not in query or b"Token=" not in query or b"Signature" in query:
        return False
    return _one(query, "Action") in _ACTIONS


class SnsLinks:
    """An ASGI application."""

    def __init__(self, services: Services) -> None:
        self._topics = services.topics
        self._signer = services.topic_signer
        self._path = certificate_path(services.topic_signer)
        self._shapes = ServiceShapes("sns")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.url.path.startswith(_PATH_PREFIX):
            known = request.url.path == self._path
            return Response(
                self._signer.certificate_pem if known else "", 200 if known else 404, media_type="text/plain"
            )
        request_id = str(uuid.uuid4())
        try:
            return Response(await self._act(request.scope["query_string"], request_id), 200, media_type="text/xml")
        except AwsError as error:
            return error_response(Protocol.QUERY, error, request_id)
        except SeatrialError as error:
            return error_response(Protocol.QUERY, refused(error), request_id)
        except StoreUnavailable:
            return error_response(Protocol.QUERY, unavailable(), request_id)

    async def _act(self, query: bytes, request_id: str) -> bytes:
        action, token = _one(query, "Action"), _one(query, "Token")
        if action == "Unsubscribe":
            await self._topics.leave(_one(query, "SubscriptionArn"), token)
            return aws_query.write(self._shapes.operation(action), {}, request_id)
        arn = _one(query, "TopicArn")
        if not arn:
            raise invalid("TopicArn is missing.")
        confirmed = await self._topics.confirm(arn, token)
        return aws_query.write(self._shapes.operation(action), {"SubscriptionArn": confirmed.arn}, request_id)


def _one(query: bytes, name: str) -> str:
    return parse_qs(query.decode("latin-1")).get(name, [""])[0]
