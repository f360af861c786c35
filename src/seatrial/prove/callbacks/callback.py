"""One callback as it arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from seatrial.prove.callbacks.signatures import Signature


class Answered(StrEnum):
    """What the sender was told."""

    TAKEN = "taken"
    REFUSED = "refused"  # its signature is missing or wrong
    FAILED = "failed"  # on purpose
    HUNG = "hung"  # on purpose: the connection was held


@dataclass(slots=True)
class Part:
    """Something that a callback carried: a file of a form, the body itself, or a picture inside JSON.

    `valid` is None while nobody has looked, and for what no check knows; `reason` is the first failure.
    """

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    saved_path: str | None = None
    kind: str = ""
    valid: bool | None = None
    reason: str = ""

    @property
    def is_image(self) -> bool:
        """By its declared type, or by its bytes."""
        return self.kind == "image" or self.media_type.startswith("image/")


@dataclass(slots=True)
class Callback:
    """One request. `path` has its query; `fields` are the form's texts, or the top level of the JSON document."""

    number: int
    received_at: str  # RFC 3339, UTC
    method: str
    path: str
    content_type: str
    size_bytes: int
    signature: Signature
    delivery_id: str = ""  # webhook-id: the same whenever it is told again
    repeat_of: int | None = None  # the first callback with that delivery id
    job_id: str = ""
    status: str = ""
    completed_at: str = ""
    image_url: str = ""
    error: str = ""
    provided_secret: str = ""  # X-Callback-Secret as it came; never written to disk
    problem: str = ""  # why the body could not be read
    fields: Mapping[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    answered: Answered = Answered.TAKEN
    answered_status: int | None = None

    def told(self) -> dict[str, Any]:
        """As plain data, with the names that receivers of the studio protocol use as well."""
        image = next((part for part in self.parts if part.is_image), None)
        told = asdict(self)
        return told | {
            "has_image": image is not None,
            "image_size": image.size_bytes if image else 0,
            "saved_path": image.saved_path if image else None,
        }
