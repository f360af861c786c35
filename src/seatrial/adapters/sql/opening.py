"""The database that a server's settings name, and what other servers say through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.failures import DatabaseUnusable


async def open_database(file: Path, url: str | None) -> Database:
    """PostgreSQL where there is a URL, else the SQLite file, made if it is not there.

    Raises:
        DatabaseUnusable: it cannot be used as it is set up; says what to do.
        StoreUnavailable: it cannot be opened now.
    """
    if url is None:
        return await Database.open(file)
    try:
        from seatrial.adapters.sql.postgres import PostgresBackend  # noqa: PLC0415 - the driver is an extra
    except ImportError as error:
        raise DatabaseUnusable(
            f"PostgreSQL needs the driver psycopg, which cannot be loaded ({error}); install it: "
            "pip install 'seatrial[postgres]'"
        ) from None
    backend = PostgresBackend(url)
    await asyncio.to_thread(backend.check)
    return await Database.open_on(backend)


@contextmanager
def listening(url: str | None, ring: Callable[[list[str]], None]) -> Iterator[None]:
    """Call `ring` in this event loop with the endpoints whose queue another server filled; none named: any of them.

    A hint only: it may come late, twice or not at all.
    """
    if url is None:
        yield
        return
    from seatrial.adapters.sql.hints import Hints  # noqa: PLC0415 - the driver is an extra

    hints = Hints(url, ring, asyncio.get_running_loop())
    try:
        yield
    finally:
        hints.close()
