"""The form that a callback is: multipart/form-data (RFC 7578) with the image as a file."""

from __future__ import annotations

import uuid

from seatrial.domain.jobs import Job
from seatrial.domain.media_types import essence, extension_of
from seatrial.http.dialects.studio import status as dialect


def form(job: Job, base: str, image: bytes | None) -> tuple[bytes, str]:
    """The body and its media type. `image` are the bytes of the job's picture, where they are to be sent along."""
    mark = uuid.uuid4().hex
    picture = dialect.picture_of(job)
    shown = dialect.shown_id(job)
    fields = {
        "job_id": shown,
        "status": dialect.state_of(job),
        "completed_at": dialect.instant(job.ended_at_ms) or "",
        "image_url": base + dialect.result_path(shown) if picture is not None else "",
        "error": dialect.error_of(job),
    }
    body = b"".join(_part(mark, f'name="{name}"', value.encode()) for name, value in fields.items() if value)
    if picture is not None and image is not None:
        media_type = essence(picture.media_type)
        named = f'name="image"; filename="{shown}{extension_of(media_type)}"'
        body += _part(mark, named, image, f"Content-Type: {media_type}\r\n")
    return body + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def _part(mark: str, named: str, value: bytes, further: str = "") -> bytes:
    head = f"--{mark}\r\nContent-Disposition: form-data; {named}\r\n{further}\r\n"
    return head.encode() + value + b"\r\n"
