"""Failures that a person has to do something about, and one that every kind of database knows."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

_TAKEN_IN_SQLITE = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"}
_TAKEN_IN_POSTGRESQL = "23505"  # unique_violation


class DatabaseUnusable(Exception):
    """The database cannot be used as it is set up; one line, with the remedy and without any password."""


class SchemaTooNew(DatabaseUnusable):
    """The tables were made by a newer Seatrial than this one."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(
            f"the database has schema {found}, which this Seatrial does not know (it knows up to {known}): a newer "
            "version has used it; start that version again, or restore a backup made before the upgrade"
        )


def is_taken(error: IntegrityError) -> bool:
    """Whether a unique row was there already."""
    name = getattr(error.orig, "sqlite_errorname", None)
    return name in _TAKEN_IN_SQLITE or getattr(error.orig, "sqlstate", None) == _TAKEN_IN_POSTGRESQL
