"""The tables: the chain of migrations equals the metadata, constraints bite, hot queries walk indexes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import IntegrityError

from seatrial.adapters.sql.commands import EXECUTORS
from seatrial.adapters.sql.job_store import _NEXT_DEADLINE, run_together
from seatrial.adapters.sql.listing import list_jobs
from seatrial.adapters.sql.migrate import migrate
from seatrial.adapters.sql.registry import _endpoint_values, _version_values
from seatrial.adapters.sql.schema import endpoints, metadata, versions
from seatrial.adapters.sql.sqlite import sqlite_engine
from seatrial.domain.commands import (
    Beat,
    Cancel,
    CancelQueued,
    CloseLapsed,
    CloseServerSessions,
    CloseSession,
    Expire,
    FailQueued,
    Finish,
    ForgetJobs,
    ForgetKeys,
    GiveUp,
    OpenSession,
    Outcome,
    Published,
    Release,
    Take,
    Withdrawn,
)
from seatrial.domain.jobs import JobFilter, JobState
from seatrial.testing.job_store import (
    BUCKET,
    ENDPOINT,
    FAILURE,
    arrival,
    awaiting,
    idempotency,
    part,
    submission,
    version,
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = sqlite_engine(tmp_path / "migrated.sqlite", "OFF", "IMMEDIATE")
    migrate(engine)
    with engine.connect() as connection:
        yield connection


def definitions(connection: Connection) -> dict[str, list[str]]:
    """Tables and indexes, each with the parts of its definition in a fixed order: a column added later stands last."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {name: sorted(parts(sql)) for name, sql in rows}


def parts(sql: str) -> list[str]:
    """What stands between the commas of the outermost parentheses, and what is around them."""
    found, depth = [""], 0
    for one in re.sub(r"[\s\"]+", " ", sql):
        depth += (one == "(") - (one == ")")
        if (depth == 1 and one in ",(") or (depth == 0 and one == ")"):
            found.append("")
        else:
            found[-1] += one
    return [part.strip() for part in found]


def test_the_migrations_make_what_the_metadata_says(connection: Connection, tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "created.sqlite", "OFF", "IMMEDIATE")
    metadata.create_all(engine)
    with engine.connect() as created:
        expected = definitions(created)
    found = definitions(connection)
    found.pop("alembic_version")
    assert {"jobs", "objects", "sessions", "ix_jobs_queue"} <= set(found)
    assert found == expected


def test_migrating_again_changes_nothing(connection: Connection) -> None:
    before = definitions(connection)
    connection.commit()
    migrate(connection.engine)
    assert definitions(connection) == before


@pytest.mark.parametrize(
    "change",
    [
        "state = 'unknown'",
        "state = 'running'",
        "state = 'running', session = 's'",
        "token = 'a'",
        "session = 's'",
        "state = 'succeeded', parts = '[]'",
        "ended_at_ms = 1",
        "state = 'failed', ended_at_ms = 1",
        "failure = '{}'",
        "parts = '[]'",
        "priority = 10",
        "attempt = -1",
        "input_key = 'k', input_bucket = 'b', input_etag = 'e'",
        "input_inline = NULL, input_key = 'k'",
        "input_inline = zeroblob(16385)",
        "purpose = 'other'",
    ],
)
def test_what_must_never_be_false_cannot_be_written(connection: Connection, change: str) -> None:
    furnish(connection)
    run_together(connection, [[submission()]])
    with pytest.raises(IntegrityError, match="CHECK"):
        connection.execute(text(f"UPDATE jobs SET {change}"))


def test_a_token_proves_one_claim(connection: Connection) -> None:
    furnish(connection)
    run_together(connection, [[submission(), submission()]])
    with pytest.raises(IntegrityError, match=r"UNIQUE.*token"):
        connection.execute(text("UPDATE jobs SET state = 'running', session = 's', token = 'same'"))


def furnish(connection: Connection) -> None:
    connection.execute(insert(endpoints), _endpoint_values(ENDPOINT))
    connection.execute(insert(versions), _version_values(version("v1", 1)))
    connection.execute(text("INSERT INTO buckets (name, created_at_ms) VALUES (:name, 1)"), {"name": BUCKET})


def test_no_command_walks_a_whole_table(connection: Connection) -> None:
    """Every statement of every command finds its rows through an index, so depth costs nothing."""
    furnish(connection)
    statements: set[str] = set()
    driver = connection.connection.dbapi_connection
    driver.set_trace_callback(statements.add)
    job = submission(key=idempotency("k"))
    take = Take("s", ("a" * 32, "b" * 32), 2, frozenset({"x"}))
    commands = [
        job,
        OpenSession("s", ENDPOINT.id, "v1", "processes", "server", 1),
        take,
        Release(take.tokens),
        take,
        CloseSession("s", 3, take.tokens),
        OpenSession("s", ENDPOINT.id, "v1", "processes", "server", 1),
        Take("s", ("c" * 32,), 2),
        Finish("c" * 32, Outcome.SUCCEEDED, 4, (part(job.job),)),
        Published(job.job.id, Outcome.SUCCEEDED, 5),
        GiveUp(job.job.id, FAILURE, 5),
        Withdrawn(job.job.id),
        Cancel(job.job.id, 5),
        awaiting(job_id="upload-1"),
        awaiting(job_id="upload-2"),
        arrival("upload-1"),
        Cancel("upload-2", 5),
        CloseServerSessions("other", 6),
        CloseServerSessions("other", 6, "home"),
        Beat("server", "home"),
        Beat("server", "home"),
        CloseLapsed("other", -1, 6),
        Expire(7),
        FailQueued(ENDPOINT.id, FAILURE, 8),
        FailQueued(ENDPOINT.id, FAILURE, 8, "v1"),
        CancelQueued(ENDPOINT.id, 8),
        ForgetKeys(9, 10),
        ForgetJobs(("j",), 9),
    ]
    assert {type(command) for command in commands} == set(EXECUTORS)
    run_together(connection, [commands])
    driver.set_trace_callback(None)
    asked = [one for one in statements if one.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len(asked) > 15
    for statement in asked:
        plan = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]
        walks = [step for step in plan if re.match(r"SCAN (?!sessions|servers|CONSTANT ROW)|USE TEMP B-TREE", step)]
        assert not walks, (statement, plan)


def test_the_next_deadline_is_read_from_its_index(connection: Connection) -> None:
    sql = str(_NEXT_DEADLINE.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    plan = connection.execute(text(f"EXPLAIN QUERY PLAN {sql}")).all()
    assert [row[3] for row in plan] == ["SCAN jobs USING INDEX ix_jobs_expiry"]


@pytest.mark.parametrize("endpoint_name", [None, "echo"])
@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_the_few_that_failed_are_listed_without_walking_the_many_that_succeeded(
    connection: Connection, state: JobState, endpoint_name: str | None
) -> None:
    statements: list[str] = []
    driver = connection.connection.dbapi_connection
    driver.set_trace_callback(statements.append)
    list_jobs(connection, JobFilter(endpoint_name=endpoint_name, states=frozenset({state})))
    driver.set_trace_callback(None)
    (asked,) = [one for one in statements if one.startswith("SELECT")]
    plan = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {asked}")]
    assert len(plan) == 1
    assert re.match(r"SEARCH jobs USING INDEX ix_jobs_(failures|endpoint) \(.*state=\?", plan[0]), plan
