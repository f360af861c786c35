"""Getting the bytes of a media field, whatever the form in which they were sent, and looking at them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from seatrial.domain.checking import MediaValue, RawMedia, base64_bytes
from seatrial.domain.checking.media_values import too_large
from seatrial.domain.checking.problems import bad_input
from seatrial.domain.contract import Field, FieldType, MediaSource
from seatrial.domain.errors import INPUT_NOT_FOUND, BadInput
from seatrial.domain.limits import IMAGE_CHECKS_AT_ONCE_MAX
from seatrial.domain.media_types import BEGINNING_BYTES, extension_of, type_by_beginning
from seatrial.domain.objects import ObjectName
from seatrial.engine.images import check_image
from seatrial.engine.whole_object import whole_object, write_file
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectStore
from seatrial.ports.urls import UrlReader

AT_HAND = frozenset({MediaSource.BASE64, MediaSource.DATA_URL, MediaSource.RAW})
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")


class MediaReader:
    """Fetches media and checks pictures; a few pictures at a time, as each may take its pixels' memory."""

    def __init__(self, objects: ObjectStore, urls: UrlReader) -> None:
        self._objects = objects
        self._urls = urls
        self._checks = asyncio.Semaphore(IMAGE_CHECKS_AT_ONCE_MAX)

    async def in_memory(self, value: MediaValue) -> bytes:
        """The bytes of a field, checked.

        Raises:
            BadInput: input_not_found, input_unreachable, media_too_large, unsupported_media_type, image_undecodable.
            SeatrialError: media_support_missing.
        """
        content = await self._content(value, None)
        await self._check(value.field, content)
        return content if isinstance(content, bytes) else await asyncio.to_thread(content.read_bytes)

    async def in_file(self, value: MediaValue, folder: Path) -> Path:
        """The same in a new file of `folder`, named after the field and what it holds."""
        target = folder / value.field.name.replace("/", "-")
        content = await self._content(value, target)
        image_format = await self._check(value.field, content)
        return await asyncio.to_thread(_settle, value, content, target, image_format)

    async def look_at(self, value: MediaValue) -> None:
        """Check a field that came with the request itself; one that has to be fetched is left alone."""
        if value.source in AT_HAND and value.field.type is FieldType.IMAGE:
            await self._check(value.field, await self._content(value, None))

    async def _check(self, field: Field, content: bytes | Path) -> str | None:
        if field.type is not FieldType.IMAGE:
            return None
        async with self._checks:
            return await asyncio.to_thread(check_image, field, content)

    async def _content(self, value: MediaValue, target: Path | None) -> bytes | Path:
        """The bytes in memory, or where a file was at hand or an object is streamed to `target`, that file."""
        sent = value.value
        if isinstance(sent, RawMedia):
            return sent.content
        if isinstance(sent, ObjectName):
            return await self._object(value.field, sent, target)
        if value.source is MediaSource.URL:
            return await self._url(value.field, sent)
        return base64_bytes(sent)

    async def _object(self, field: Field, name: ObjectName, target: Path | None) -> bytes | Path:
        try:
            return await whole_object(self._objects, name, _bounded(field, target))
        except (NoSuchBucket, NoSuchObject) as error:
            raise not_found(name, no_bucket=isinstance(error, NoSuchBucket), field=field.name) from None

    async def _url(self, field: Field, url: str) -> bytes:
        try:
            return (await self._urls.fetch(url, field.bytes_max)).body
        except BadInput as error:
            message = f"{field.name!r}: {error.message}"
            raise BadInput(
                error.error_type, message, field=field.name, valid=error.valid, details=error.extra
            ) from None


def not_found(name: ObjectName, *, no_bucket: bool, field: str | None) -> BadInput:
    """The input_not_found error, naming bucket and key."""
    what = f"There is no bucket {name.bucket!r}" if no_bucket else f"There is no object {name.key!r} in {name.bucket!r}"
    return BadInput(
        INPUT_NOT_FOUND,
        f"{what}. `aws s3 ls s3://{name.bucket}/` shows what is there.",
        field=field,
        valid="the name of an object that is there; upload it first",
        details={"bucket": name.bucket, "key": name.key},
    )


def _bounded(field: Field, target: Path | None) -> Callable[[int], Path | None]:
    def place(size_bytes: int) -> Path | None:
        if size_bytes > field.bytes_max:
            raise bad_input([too_large(field, size_bytes)])
        return target

    return place


def _settle(value: MediaValue, content: bytes | Path, target: Path, image_format: str | None) -> Path:
    """The content in a file with its proper extension. A file given here is ours and may be renamed."""
    final = target.with_name(target.name + _extension(value, content, image_format))
    if isinstance(content, Path):
        content.rename(final)
    else:
        write_file(final, content)
    return final


def _extension(value: MediaValue, content: bytes | Path, image_format: str | None) -> str:
    if image_format is not None:
        return extension_of(f"image/{image_format}")
    suffix = PurePosixPath(_name_of(value)).suffix
    if _SUFFIX.fullmatch(suffix):
        return suffix
    found = type_by_beginning(_beginning(content))
    return extension_of(found) if found else ""


def _name_of(value: MediaValue) -> str:
    if isinstance(value.value, ObjectName):
        return value.value.key
    return urlsplit(value.value).path if value.source is MediaSource.URL and isinstance(value.value, str) else ""


def _beginning(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content[:BEGINNING_BYTES]
    with content.open("rb") as file:
        return file.read(BEGINNING_BYTES)
