"""What a database needs of the kind that it is: SQLite or PostgreSQL."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection

from seatrial.domain.errors import BadInput
from seatrial.ports.job_store import StoreUnavailable


class Backend(Protocol):
    """Makes connections, commits, and says what failures mean. Its methods block: not for the event loop's thread."""

    def migrate(self) -> None:
        """Bring the tables up to date, one server at a time.

        Raises:
            SchemaTooNew: a newer Seatrial made them.
        """
        ...

    def writer(self) -> Connection:
        """A new connection whose transactions write; each of its statements sees what others have committed."""
        ...

    def reader(self) -> Connection:
        """A new connection whose transactions only read, and see one state."""
        ...

    def begin(self, connection: Connection) -> None:
        """Called first in each transaction of the writer: an earlier one, of whatever connection, is over after it."""
        ...

    def commit(self, connection: Connection) -> None:
        """Commit; durable when this returns."""
        ...

    def goes_on(self, connection: Connection) -> bool:
        """Whether the transaction is still open, so that a part of it can be undone."""
        ...

    def unavailable(self, error: BaseException) -> StoreUnavailable | None:
        """What the port calls this failure; None: it is the statement's, not the database's or the machine's."""
        ...

    def refused(self, error: BaseException) -> BadInput | None:
        """What a request is told that has a value which this kind of database cannot keep; None: it is not that."""
        ...

    def lost_race(self, error: BaseException) -> bool:
        """Whether another writer was first with a row: run again, the same work sees that row."""
        ...

    def uncommitted(self, error: BaseException) -> bool:
        """Whether the transaction failed through others (a deadlock, a connection that was lost) and may run again."""
        ...

    def close(self) -> None:
        """Let go of what is not a connection."""
        ...
