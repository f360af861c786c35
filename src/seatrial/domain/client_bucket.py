"""A bucket of the client's own, with keys of its own: what is large in its job's output is put there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from seatrial.domain.jobs import HIDDEN_PREFIX

CLIENT_BUCKET = HIDDEN_PREFIX + "client_bucket"  # the attribute of a job that has one


@dataclass(frozen=True, slots=True)
class ClientBucket:
    """`endpoint_url` is where its S3 service answers."""

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    def attribute(self) -> str:
        """As it is kept with the job, seen by nobody."""
        return json.dumps(asdict(self))


def client_bucket(attributes: Mapping[str, str]) -> ClientBucket | None:
    """That of a job, if its client named one."""
    kept = attributes.get(CLIENT_BUCKET)
    said: dict[str, Any] = json.loads(kept) if kept else {}
    return ClientBucket(**said) if said else None
