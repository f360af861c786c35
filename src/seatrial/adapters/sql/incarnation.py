"""Which life of the store this is: a random word that a restored backup gets anew.

Whatever names something outside of the database by what the database knows (a staging key, say) has the word in it, so
that what a lost future of the store made never matches what the restored one makes.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, select, update

from seatrial.adapters.sql.schema import stores

_WORD_BYTES = 8
_READ = select(stores.c.incarnation)


def read_incarnation(connection: Connection) -> str:
    """16 hexadecimal characters."""
    return str(connection.execute(_READ).scalar_one())


def renew_incarnation(connection: Connection) -> str:
    """Begin a new life of the store; its word."""
    word = secrets.token_hex(_WORD_BYTES)
    connection.execute(update(stores).values(incarnation=word))
    return word
