"""What other servers notify through PostgreSQL: LISTEN in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable

import psycopg

from seatrial.adapters.sql.postgres import CHANNEL
from seatrial.domain.limits import DATABASE_CONNECT_SECONDS_MAX, HINTS_RETRY_SECONDS

_LOOK_UP_SECONDS = 0.5  # how often the thread looks whether it shall end

_log = logging.getLogger(__name__)


class Hints:
    """Listens until it is closed; after a lost connection it listens again, and says that anything may have come."""

    def __init__(self, url: str, ring: Callable[[list[str]], None], loop: asyncio.AbstractEventLoop) -> None:
        self._url = url
        self._ring = ring
        self._loop = loop
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="database-hints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                _log.info("no hints from PostgreSQL for now: %s", str(error).strip())
                self._closing.wait(HINTS_RETRY_SECONDS)

    def _listen(self) -> None:
        with psycopg.connect(
            self._url, autocommit=True, connect_timeout=DATABASE_CONNECT_SECONDS_MAX, application_name="seatrial"
        ) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._say([])
            while not self._closing.is_set():
                for one in connection.notifies(timeout=_LOOK_UP_SECONDS):
                    self._say(json.loads(one.payload))

    def _say(self, endpoint_ids: list[str]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ring, endpoint_ids)
        except RuntimeError:
            pass  # the loop is closed, so nobody waits
