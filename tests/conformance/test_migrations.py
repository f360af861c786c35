"""Migrations on SQLite and on PostgreSQL: the chain equals the metadata, one server at a time, never backwards."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from seatrial.adapters.sql.commands.take import _WAITING
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.failures import SchemaTooNew
from seatrial.adapters.sql.postgres import PostgresBackend
from seatrial.adapters.sql.schema import metadata
from seatrial.adapters.sql.sqlite import SqliteBackend
from seatrial.testing.postgres import PostgresServer

CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
        WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


def sqlalchemy_engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def catalog(url: str) -> dict[str, set[tuple[object, ...]]]:
    engine = sqlalchemy_engine(url)
    with engine.connect() as connection:
        found = {what: {tuple(row) for row in connection.execute(text(sql))} for what, sql in CATALOG.items()}
    engine.dispose()
    return {what: {row for row in rows if row[0] != "alembic_version"} for what, rows in found.items()}


def test_the_migrations_make_what_the_metadata_says(postgres: PostgresServer) -> None:
    migrated, created = postgres.database(), postgres.database()
    backend = PostgresBackend(migrated)
    backend.migrate()
    engine = sqlalchemy_engine(created)
    metadata.create_all(engine)
    engine.dispose()
    expected = catalog(created)
    assert {"jobs", "objects", "sessions"} <= {row[0] for row in expected["columns"]}
    assert catalog(migrated) == expected
    backend.migrate()
    assert catalog(migrated) == expected


async def test_servers_that_start_at_the_same_time_migrate_one_after_the_other(postgres: PostgresServer) -> None:
    url = postgres.database()
    databases = await asyncio.gather(*(Database.open_on(PostgresBackend(url)) for _ in range(3)))
    for database in databases:
        await database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_newer_schema_is_refused(kind: str, postgres: PostgresServer, tmp_path: Path) -> None:
    backend = PostgresBackend(postgres.database()) if kind == "postgresql" else SqliteBackend(tmp_path / "new.sqlite")
    backend.migrate()
    with backend.writer() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    with pytest.raises(SchemaTooNew, match=r"schema 9999, .* newer version .* restore a backup"):
        backend.migrate()
    backend.close()


@pytest.mark.parametrize("statement", [query.statement for query in _WAITING.values()])
def test_the_queue_is_read_in_the_order_of_its_index(postgres_url: str, statement: object) -> None:
    backend = PostgresBackend(postgres_url)
    backend.migrate()
    with backend.writer() as connection:
        values = {"endpoint_id": "e", "version_id": "v", "affinity": "a", "waited_since_ms": 1, "exclusive_too": True}
        some = {"full_owners": ["o"], "elsewhere": ["b", "c"]}
        known = {name for name in statement.compile().params if name in values | some}
        asked = statement.params({name: (values | some)[name] for name in known})
        sql = asked.limit(1).compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {sql}").scalars())
    backend.close()
    assert "Index Scan using ix_jobs_queue" in plan, plan
    assert "Sort" not in plan, plan
