"""What the callbacks of ended jobs say, put together when they are told."""

from __future__ import annotations

from seatrial.domain.delivery import Delivery
from seatrial.domain.jobs import Job
from seatrial.domain.limits import STUDIO_IMAGE_TOLD_BYTES_MAX
from seatrial.engine.deliver import Message, TooLate
from seatrial.engine.inspect import Inspector
from seatrial.http.dialects.studio.callbacks import form
from seatrial.http.dialects.studio.requests import read_callback
from seatrial.http.dialects.studio.status import picture_of
from seatrial.http.published import published_bytes
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import ObjectStore


class StudioCallbacks:
    """Reads what a job has published, and what its client said of its callback."""

    def __init__(self, inspector: Inspector, objects: ObjectStore, clock: Clock) -> None:
        self._inspector = inspector
        self._objects = objects
        self._clock = clock

    async def words(self, delivery: Delivery) -> Message:
        """The form with the image, and the client's secret as the sender's proof. Raises TooLate after the expiry."""
        job = await self._inspector.job(delivery.job_id)
        asked = read_callback(job.attributes)
        if asked.expires_at_ms is not None and self._clock.now_ms() > asked.expires_at_ms:
            raise TooLate
        body, media_type = form(job, asked.base, await self._image(job))
        headers = {} if asked.secret is None else {"X-Callback-Secret": asked.secret}
        return Message(body, media_type, headers, signed=False)

    async def _image(self, job: Job) -> bytes | None:
        part = picture_of(job)
        if part is None or part.size_bytes > STUDIO_IMAGE_TOLD_BYTES_MAX:
            return None
        return await published_bytes(self._inspector, self._objects, job, part)
