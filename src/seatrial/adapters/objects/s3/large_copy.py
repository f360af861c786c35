"""Copies of more than one request can carry: in parts, which the service copies by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from seatrial.adapters.objects.s3.service import S3Service
from seatrial.domain.limits import S3_COPY_PART_BYTES

_AT_ONCE = 4


async def copy_large(
    service: S3Service,
    given: Mapping[str, Any],
    size_bytes: int,
    described: Mapping[str, Any],
    conditions: Mapping[str, Any],
) -> dict[str, Any]:
    """As CopyObject with these parameters; conditions decide at the completion. What fails leaves no upload behind.

    Raises:
        ObjectError, StoreUnavailable
    """
    name = {"Bucket": given["Bucket"], "Key": given["Key"]}
    upload = (await service.call("create_multipart_upload", **name, **described))["UploadId"]
    turns = asyncio.Semaphore(_AT_ONCE)

    async def copy(number: int, start: int) -> dict[str, Any]:
        end = min(start + S3_COPY_PART_BYTES, size_bytes) - 1
        part = {"UploadId": upload, "PartNumber": number, "CopySourceRange": f"bytes={start}-{end}"}
        async with turns:
            answer = await service.call("upload_part_copy", **given, **part)
        return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

    try:
        starts = range(0, size_bytes, S3_COPY_PART_BYTES)
        parts = await asyncio.gather(*(copy(number, start) for number, start in enumerate(starts, 1)))
        answer = await service.call(
            "complete_multipart_upload", **name, UploadId=upload, MultipartUpload={"Parts": parts}, **conditions
        )
    except BaseException:
        await asyncio.shield(service.call("abort_multipart_upload", **name, UploadId=upload))
        raise
    return {"ETag": answer["ETag"]}
