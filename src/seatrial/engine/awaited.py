"""Objects that jobs wait for: what may be put there, and what happens when it comes."""

from __future__ import annotations

from datetime import UTC, datetime

from seatrial.domain import commands as c
from seatrial.domain import errors
from seatrial.domain.errors import BadInput, Conflict
from seatrial.domain.failures import Failure
from seatrial.domain.jobs import JobInput
from seatrial.domain.media_types import JSON, UNSPECIFIC, essence
from seatrial.domain.objects import ObjectName, ObjectRef
from seatrial.domain.triggers import ObjectEvent, Origin, Trigger
from seatrial.engine.bells import Bells
from seatrial.engine.trigger_acts import EventWords
from seatrial.engine.uploading import ARRIVED_AT, with_words
from seatrial.engine.watch import Watch
from seatrial.ports.clock import Clock
from seatrial.ports.job_store import JobStore
from seatrial.ports.triggers import TriggerStore


class AwaitedUploads:
    """Checks a PUT before its bytes are received, and queues the job once they are there."""

    def __init__(
        self, jobs: JobStore, triggers: TriggerStore, words: EventWords, watch: Watch, bells: Bells, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._triggers = triggers
        self._words = words
        self._watch = watch
        self._bells = bells
        self._clock = clock

    async def waits(self, job_id: str) -> bool:
        """Whether the job still waits for its object."""
        return await self._awaited(job_id) is not None

    async def check(self, job_id: str, name: ObjectName, media_type: str | None, size_bytes: int | None) -> str | None:
        """Hold what is about to be put against what was asked for; the media type that it then has.

        Raises:
            Conflict: upload_not_awaited: the job has its input, or has ended.
            BadInput: payload_too_large, unsupported_media_type.
        """
        trigger = await self._awaited(job_id)
        if trigger is None or (trigger.bucket, trigger.key) != (name.bucket, name.key):
            raise Conflict(
                errors.UPLOAD_NOT_AWAITED,
                f"Job {job_id} waits for no object {name.uri}: it has its input, or has ended.",
                details={"remedy": "Ask for another upload: POST /v1/uploads."},
            )
        fault = _fault(trigger, name, media_type, size_bytes)
        if fault is not None:
            raise fault
        wanted: str | None = trigger.options.get("media_type")
        return wanted

    async def bytes_max(self, job_id: str) -> int | None:
        """How many bytes the object may have, while it is awaited."""
        trigger = await self._awaited(job_id)
        return None if trigger is None else int(trigger.options["bytes_max"])

    async def arrived(self, trigger: Trigger, event: ObjectEvent) -> str:
        """The object is there: the job is queued, or fails where it is not what was asked for. Repeatable."""
        fault = _fault(trigger, event.name, event.media_type, event.size_bytes)
        failure = None if fault is None else Failure(fault.error_type, fault.message, fault.details)
        ttl_ms = trigger.options["queue_ttl_ms"]
        command = c.Arrive(trigger.target, self._clock.now_ms(), self._input(trigger, event), ttl_ms, failure)
        (outcome,) = await self._jobs.apply([command])
        if not isinstance(outcome, c.Arrived):
            return "its job is gone"
        if outcome.moved:
            self._watch.changed([outcome.job])
            self._bells.ring(outcome.job.endpoint_id)
        return f"job {trigger.target}"

    async def _awaited(self, job_id: str) -> Trigger | None:
        trigger = await self._triggers.trigger(job_id)
        return trigger if trigger is not None and trigger.origin is Origin.UPLOAD else None

    def _input(self, trigger: Trigger, event: ObjectEvent) -> JobInput:
        options = trigger.options
        if options.get("tells"):
            return JobInput(JSON, inline=self._words.function_event(trigger, event))
        if "body" in options:
            at = datetime.fromtimestamp(event.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
            return JobInput(JSON, inline=with_words(options["body"], {ARRIVED_AT: at.replace("+00:00", "Z")}).encode())
        media_type = options.get("media_type") or event.media_type or "application/octet-stream"
        return JobInput(media_type, ref=ObjectRef(event.name, event.etag or ""))


def _fault(trigger: Trigger, name: ObjectName, media_type: str | None, size_bytes: int | None) -> BadInput | None:
    bytes_max, wanted = trigger.options["bytes_max"], trigger.options.get("media_type")
    if size_bytes is not None and size_bytes > bytes_max:
        message = f"{name.uri} has {size_bytes:,} bytes, more than the {bytes_max:,} that were asked for."
        return BadInput(errors.PAYLOAD_TOO_LARGE, message, field="upload", valid=f"at most {bytes_max:,} bytes")
    if wanted is None or media_type is None or media_type in UNSPECIFIC or essence(media_type) == essence(wanted):
        return None
    message = f"{name.uri} comes as {media_type!r}, not as the {wanted!r} that was asked for."
    return BadInput(errors.UNSUPPORTED_MEDIA_TYPE, message, field="upload", valid=f"Content-Type: {wanted}")
