"""Which endpoints have new work in their queue: gathered in a transaction, told to other servers with its commit."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

_KEY = "seatrial.announced"


def announce(connection: Connection, endpoint_ids: Iterable[str]) -> None:
    """There is something to take for workers of these endpoints once this transaction is committed. A hint only."""
    connection.info.setdefault(_KEY, set()).update(endpoint_ids)


def announced(connection: Connection) -> set[str]:
    """What was announced since this was last asked."""
    told: set[str] = connection.info.pop(_KEY, set())
    return told
