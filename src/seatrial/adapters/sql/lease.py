"""Who may use a shared database: one server at a time, by its lease.

Several servers on one database need every package and every blob at hand; until they have that, the second one would
take the first one's endpoints out of service.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from seatrial.adapters.sql.commands.servers import NOW
from seatrial.adapters.sql.schema import servers, sessions, stores

_ONE_AFTER_ANOTHER = select(stores.c.only).with_for_update()
_LATEST = (
    select(servers.c.home, servers.c.beat_at_ms)
    .where(servers.c.home != bindparam("home"), servers.c.beat_at_ms >= bindparam("since_ms"))
    .order_by(servers.c.beat_at_ms.desc())
    .limit(1)
)
_BEGIN = insert(servers)
_END = delete(servers).where(
    servers.c.id == bindparam("server"),
    ~select(sessions.c.id).where(sessions.c.server == servers.c.id).exists(),  # those need it until they are closed
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Another server whose lease stands for `left_ms` more if it does not beat again; `home` is its data folder's."""

    home: str
    left_ms: int

    def __str__(self) -> str:
        _, host, folder = self.home.split(":", 2)
        return f"another server, on {host} with the data folder {folder}"


def begin_lease(connection: Connection, server: str, home: str, lease_ms: int) -> Holder | None:
    """Begin this server's lease, unless one of another home holds: then nothing is changed, and it is returned."""
    connection.execute(_ONE_AFTER_ANOTHER)
    now_ms = connection.execute(NOW).scalar_one()
    row = connection.execute(_LATEST, {"home": home, "since_ms": now_ms - lease_ms}).first()
    if row is not None:
        return Holder(row.home, row.beat_at_ms + lease_ms - now_ms)
    connection.execute(_BEGIN, {"id": server, "home": home, "beat_at_ms": now_ms})
    return None


def end_lease(connection: Connection, server: str) -> None:
    """The server has stopped: the next one need not wait for its lease to lapse."""
    connection.execute(_END, {"server": server})
