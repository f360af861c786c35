"""Where a client may put bytes that are too large, or too awkward, for a request: a presigned URL."""

from __future__ import annotations

import re
import uuid
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seatrial.domain import errors
from seatrial.domain.access import outside_object, reaches_object
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import KEY_BYTES_MAX, UPLOAD_URL_SECONDS
from seatrial.domain.media_types import JSON
from seatrial.domain.objects import ObjectName
from seatrial.engine.submit import INPUTS_BUCKET
from seatrial.http.api.deployments import json_body
from seatrial.http.api.submission import ensure_bucket
from seatrial.http.auth import caller, needs
from seatrial.http.errors import invalid
from seatrial.http.presigned import presigned_url
from seatrial.http.services import Services

_TOKEN = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")


class UploadRequest(BaseModel):
    """What is going to be uploaded. Without a key, a new one is made; an existing object is replaced."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(None, min_length=1, description="The object's key in the bucket seatrial-inputs.")
    media_type: str | None = Field(None, description="Then the PUT must carry this Content-Type.")


class UploadView(BaseModel):
    """PUT the bytes to `url` with `headers`, then use `uri` as an input."""

    method: str = "PUT"
    url: str
    headers: dict[str, str]
    uri: str
    expires_in_seconds: int


_BODY: dict[str, Any] = {"requestBody": {"content": {JSON: {"schema": UploadRequest.model_json_schema()}}}}


class UploadRoutes:
    """Hands out upload URLs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        """The route, under /v1."""
        router = APIRouter(prefix="/v1", tags=["uploads"])
        router.add_api_route(
            "/uploads",
            self.create,
            methods=["POST"],
            status_code=201,
            summary="Ask for an upload URL",
            openapi_extra=_BODY,
            dependencies=[needs(KeyScope.SUBMIT)],
        )
        return router

    async def create(self, request: Request) -> UploadView:
        """A URL that takes one PUT without further credentials, for an hour. The body may be left out."""
        asked = await _asked(request)
        principal = caller(request)
        key = asked.key or f"{_place(principal)}uploads/{uuid.uuid4()}"
        if len(key.encode()) > KEY_BYTES_MAX:
            valid = f"at most {KEY_BYTES_MAX} bytes"
            raise BadInput(errors.INVALID_FIELD, "The key is too long.", field="key", valid=valid)
        if asked.media_type is not None and _TOKEN.fullmatch(asked.media_type) is None:
            raise BadInput(errors.INVALID_FIELD, "Not a media type.", field="media_type", valid="such as image/png")
        name = ObjectName(INPUTS_BUCKET, key)
        if not reaches_object(principal.reach, name, self._services.home):
            raise outside_object(principal.reach, name)
        await ensure_bucket(self._services.objects, INPUTS_BUCKET)
        headers = {"Content-Type": asked.media_type} if asked.media_type else {}
        keyring = self._services.keyring
        url = presigned_url(keyring, principal, "PUT", str(request.base_url), name, UPLOAD_URL_SECONDS, headers)
        return UploadView(url=url, headers=headers, uri=name.uri, expires_in_seconds=UPLOAD_URL_SECONDS)


def _place(principal: Principal) -> str:
    """Where in the bucket who reaches some endpoints only may put something."""
    return f"{min(principal.endpoints)}/" if principal.endpoints else ""


async def _asked(request: Request) -> UploadRequest:
    """JSON whatever its Content-Type says (curl says that of a form); no body asks for nothing in particular."""
    body = await json_body(request)
    try:
        return UploadRequest.model_validate_json(body) if body else UploadRequest()
    except ValidationError as error:
        raise invalid(error.errors()[0], UploadRequest.model_json_schema()) from None
