"""Buckets of clients, somewhere else."""

from __future__ import annotations

from typing import Protocol

from seatrial.domain.client_bucket import ClientBucket


class ClientBuckets(Protocol):
    """Writes to S3 services that strangers name, under the guard of everything that strangers name."""

    async def put(self, bucket: ClientBucket, key: str, content: bytes, media_type: str) -> str:
        """Put an object there; the URL that reads it for a week, signed with the client's own keys.

        Raises:
            SeatrialError: client_bucket_refused: the address is not allowed, or the service did not take it.
        """
        ...
