"""Brings the tables of a database up to date."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine


def migrate(engine: Engine) -> None:
    """Apply every revision that the database does not have yet, all in one transaction."""
    config = Config()
    config.set_main_option("script_location", "seatrial.adapters.sql:migrations")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
