"""What a subscriber of a topic is sent, put together when it is told."""

from __future__ import annotations

import json

from seatrial.domain.delivery import Delivery
from seatrial.domain.errors import NotFound
from seatrial.domain.topics import CONFIRMATION
from seatrial.engine.deliver import Message, TooLate
from seatrial.engine.topics import Topics
from seatrial.http.dialects.sns import envelopes
from seatrial.http.dialects.sns.attributes import signature_version
from seatrial.http.dialects.sns.envelopes import Links
from seatrial.http.doors.sns.job_messages import JobMessages
from seatrial.ports.signer import TopicSigner


class SnsWords:
    """Signs with the server's own certificate."""

    def __init__(self, topics: Topics, signer: TopicSigner, jobs: JobMessages, base_url: str) -> None:
        self._topics = topics
        self._jobs = jobs
        self._signer = signer
        self._links = Links(base_url, certificate_path(signer))

    async def words(self, delivery: Delivery) -> Message:
        """The envelope, or the bare message. Raises TooLate: it is no subscriber any more."""
        said = json.loads(delivery.body)
        found = await self._topics.addressee(said["subscription_arn"])
        if found is None:
            raise TooLate
        topic, subscription = found
        headers = envelopes.headers(said, subscription)
        if said["type"] == CONFIRMATION:
            envelope = envelopes.confirmation(said, subscription, self._links)
        else:
            message = said["message"]
            if message is None:
                message = await self._of_job(delivery, with_answer=said["inline"])
            if subscription.raw:
                return Message(message.encode(), envelopes.MEDIA_TYPE, headers, signed=False)
            envelope = envelopes.notification(said, message, subscription, self._links)
        version = signature_version(topic)
        signature = self._signer.sign(envelopes.string_to_sign(envelope), version)
        body = envelopes.body(envelope, version, signature, self._links)
        return Message(body, envelopes.MEDIA_TYPE, headers, signed=False)

    async def _of_job(self, delivery: Delivery, *, with_answer: bool) -> str:
        try:
            return await self._jobs.message(delivery, with_answer=with_answer)
        except NotFound:
            raise TooLate from None


def certificate_path(signer: TopicSigner) -> str:
    """Where the server serves its certificate; another certificate has another path."""
    return f"/SimpleNotificationService-{signer.fingerprint}.pem"
