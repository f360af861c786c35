"""What a door hands to the engine: a request for a job, and what tells two requests apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field

from seatrial.domain.credentials import Reach
from seatrial.domain.delivery import TargetKind
from seatrial.domain.jobs import OutputPlan
from seatrial.domain.media_types import essence
from seatrial.domain.objects import ObjectName, Sealed
from seatrial.engine.multipart_form import FORM, boundary_of


@dataclass(frozen=True, slots=True)
class StagedBody:
    """A body too large for memory, sealed in the object store; `digest` is its BodyDigest."""

    sealed: Sealed
    digest: str


@dataclass(frozen=True, slots=True)
class Uploading:
    """An input that is still to come, as an object of that name. `body` is what the job is then given.

    Without one it is given the object itself; `tells` an event that tells of it instead. In the name, and in the body's
    texts, `{job_id}` stands for the job's id; in these `{bucket}`, `{key}`, `{uri}` and `{arrived_at}` too.
    """

    name: str  # s3://bucket/key
    seconds: int  # until it must have come
    bytes_max: int
    media_type: str | None = None  # None: any
    tells: bool = False
    body: str | None = None  # JSON


@dataclass(frozen=True, slots=True)
class Submission:
    """A request for a job, as a door understood it. Exactly one of `body`, `object` and `upload` is set.

    Without `media_type` an object is what it was stored as (JSON where that says nothing and `vague_is_json`), and a
    body is JSON. Without `output`, the result goes to the version's prefix (or the server's) as `<uuid>.out` and a
    failure as `<uuid>-error.out`. `check_now` makes a contract violation of an inline body an error of this call
    rather than of the job.
    """

    endpoint_name: str
    owner: str
    reach: Reach  # what who asks may touch: no object beyond it is read for the job
    door: str
    media_type: str | None = None
    body: bytes | StagedBody | None = None
    object: ObjectName | None = None
    upload: Uploading | None = None
    object_etag: str | None = None  # of the very bytes that are meant; None: those that it holds now
    vague_is_json: bool = False
    accept: str = "*/*"
    task: str | None = None
    priority: int = 5
    affinity: str | None = None
    queue_ttl_seconds: int | None = None
    invocation_timeout_seconds: int | None = None
    output: OutputPlan | None = None
    result_filename: str | None = None
    result_extension: str | None = None
    result_name: str | None = None  # s3://bucket/key, or a path below the prefix; `{job_id}` stands for the job's id
    idempotency_key: str | None = None
    key_until_end: bool = False  # the key is that of this job until it ends, and then free for another
    attributes: Mapping[str, str] = field(default_factory=dict)
    circumstances: Mapping[str, str] = field(default_factory=dict)  # further ones, which may differ when it is repeated
    check_now: bool = False
    webhooks: tuple[str, ...] = ()  # URLs told of the job's end, beside the endpoint's own; a trial's own
    webhook_events: frozenset[str] = frozenset()  # what those that the request names want to hear of; empty: the usual
    webhook_kind: TargetKind = TargetKind.WEBHOOK  # in whose words
    version_id: str | None = None  # a trial's job: only this version may run it

    def fingerprint(self) -> str:
        """SHA-256 over what was asked for: without keys and attempt headers, and without what is only found out."""
        media_type = self.media_type
        if media_type is not None and essence(media_type) == FORM:
            media_type = FORM  # its boundary is made anew each time
        parts = [
            self.endpoint_name, self._body_digest(), self.object and self.object.uri, media_type, self.accept,
            self.task, self.priority, self.affinity, self.queue_ttl_seconds, self.invocation_timeout_seconds,
            self.output and [self.output.result.uri, self.output.failure.uri],
            self.result_filename, self.result_extension, sorted(self.attributes.items()),
            *([list(self.webhooks)] if self.webhooks else []),
            *([sorted(self.webhook_events)] if self.webhook_events else []),
            *([["result_name", self.result_name]] if self.result_name else []),
            *([["etag", self.object_etag]] if self.object_etag else []),
            *([["upload", *astuple(self.upload)]] if self.upload else []),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _body_digest(self) -> str:
        if isinstance(self.body, StagedBody):
            return self.body.digest
        digest = BodyDigest(self.media_type)
        digest.add(self.body or b"")
        return digest.hex()


class BodyDigest:
    """SHA-256 of a body as it comes, with a form's boundary left out: the same form sent again has another one."""

    def __init__(self, media_type: str | None) -> None:
        self._mark = boundary_of(media_type) if media_type else b""
        self._hash = hashlib.sha256()
        self._held = b""  # what may be the beginning of a boundary

    def add(self, chunk: bytes) -> None:
        """The next bytes, however they were cut."""
        if not self._mark:
            self._hash.update(chunk)
            return
        *whole, rest = (self._held + chunk).split(self._mark)
        for one in whole:
            self._hash.update(one)
        keep = min(len(rest), len(self._mark) - 1)
        self._hash.update(rest[: len(rest) - keep])
        self._held = rest[len(rest) - keep :]

    def hex(self) -> str:
        """Of everything that was added."""
        whole = self._hash.copy()
        whole.update(self._held)
        return whole.hexdigest()
