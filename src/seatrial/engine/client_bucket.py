"""What is large in an answer goes to the bucket that the client named, and its URL stands in its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.domain.checking import base64_bytes
from seatrial.domain.checking.media_values import normal_base64
from seatrial.domain.client_bucket import ClientBucket, client_bucket
from seatrial.domain.jobs import Job, JobPurpose
from seatrial.domain.json_text import parse_answer_json
from seatrial.domain.limits import CLIENT_BUCKET_BYTES_MIN, CLIENT_BUCKET_OBJECT_BYTES_MAX, JSON_OUTPUT_BYTES_MAX
from seatrial.domain.media_types import BEGINNING_BYTES, JSON, essence, extension_of, is_json, type_by_beginning
from seatrial.ports.client_buckets import ClientBuckets

Content = bytes | Path
_NAME_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class _Found:
    """Bytes within an answer: where they stand, and what they are."""

    holder: Any
    step: Any
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The client's place for one attempt of one job: what another attempt puts lies beside it, never over it."""

    buckets: ClientBuckets
    bucket: ClientBucket
    folder: str

    async def put(self, name: str, content: Content, media_type: str) -> str | None:
        """The URL of an object; None: it is too large for one request, and stays here."""
        body = await _read(content, CLIENT_BUCKET_OBJECT_BYTES_MAX)
        if body is None:
            return None
        return await self.buckets.put(self.bucket, f"{self.folder}{name}{extension_of(media_type)}", body, media_type)

    async def moved(self, body: Content, media_type: str) -> tuple[Content, str]:
        """The answer as it is left: in JSON, large base64 texts and data URLs become URLs; texts stay; anything else
        that is large becomes `{"url", "media_type", "bytes"}`."""
        size_bytes = len(body) if isinstance(body, bytes) else (await asyncio.to_thread(body.stat)).st_size
        if size_bytes < CLIENT_BUCKET_BYTES_MIN or essence(media_type).startswith("text/"):
            return body, media_type
        if is_json(media_type):
            source = await _read(body, JSON_OUTPUT_BYTES_MAX)
            return (body if source is None else await self._json(source)), media_type
        url = await self.put("result", body, media_type)
        if url is None:
            return body, media_type
        return json.dumps({"url": url, "media_type": media_type, "bytes": size_bytes}).encode(), JSON

    async def _json(self, source: bytes) -> bytes:
        try:
            answer = {"": await asyncio.to_thread(parse_answer_json, source)}
        except ValueError:
            return source  # whether it must be sound JSON is for a contract to say
        found = await asyncio.to_thread(lambda: list(_media(answer)))
        for one in found:
            url = await self.put(one.name, one.content, one.media_type)
            if url is not None:
                one.holder[one.step] = url
        return (await asyncio.to_thread(json.dumps, answer[""])).encode() if found else source


def elsewhere(job: Job, claim: str | None, buckets: ClientBuckets | None) -> Elsewhere | None:
    """The place that the job's client named, if it did. `claim` tells one attempt from another."""
    bucket = client_bucket(job.attributes)
    if bucket is None or buckets is None or job.purpose is not JobPurpose.CLIENT:
        return None
    return Elsewhere(buckets, bucket, f"{job.id}/{claim[:8]}-" if claim else f"{job.id}/")


def _media(answer: dict[str, Any]) -> Iterator[_Found]:
    """Each large text that holds bytes."""
    left: list[tuple[Any, Any, str]] = [(answer, "", "output")]
    number = 0
    while left:
        holder, step, name = left.pop()
        value = holder[step]
        if isinstance(value, dict):
            left += [(value, key, str(key)) for key in value]
        elif isinstance(value, list):
            left += [(value, index, name) for index in range(len(value))]
        elif isinstance(value, str) and len(value) * 3 // 4 >= CLIENT_BUCKET_BYTES_MIN:
            read = _bytes_of(value)
            if read is not None:
                number += 1
                yield _Found(holder, step, f"{number}-{_word(name)}", *read)


def _bytes_of(text: str) -> tuple[str, bytes] | None:
    """Media type and bytes of a data URL; of plain base64 only where the bytes begin as those of a known type do."""
    head, _, rest = text.partition(";base64,") if text.startswith("data:") else ("", "", text)
    normal = normal_base64(rest)
    if normal is None:
        return None
    content = base64_bytes(normal)
    known = head.removeprefix("data:") or type_by_beginning(content[:BEGINNING_BYTES])
    return (known, content) if known else None


def _word(name: str) -> str:
    plain = (char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in name)
    return "".join(plain)[:_NAME_CHARS_MAX]


async def _read(content: Content, bytes_max: int) -> bytes | None:
    """The whole; None: it is larger."""
    if isinstance(content, bytes):
        return content if len(content) <= bytes_max else None
    if (await asyncio.to_thread(content.stat)).st_size > bytes_max:
        return None
    return await asyncio.to_thread(content.read_bytes)
