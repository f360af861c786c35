"""ports.registry.Registry on the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.failures import is_taken
from seatrial.adapters.sql.history import add_events, list_events
from seatrial.adapters.sql.requeue import Return, requeue
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import documents, endpoints, job_counts, jobs, sessions, versions
from seatrial.domain.delivery import Delivery
from seatrial.domain.endpoint import (
    CanaryPolicy,
    Endpoint,
    EndpointStatus,
    EndpointVersion,
    PackageRef,
    StageReport,
    StageState,
    TrialStage,
    UpdateWay,
    VersionSettings,
)
from seatrial.domain.history import EndpointEvent, EventFilter
from seatrial.domain.jobs import JobState
from seatrial.domain.objects import ObjectName
from seatrial.domain.scaling import ScalingSettings
from seatrial.domain.triggers import TriggerWish
from seatrial.ports.registry import AlreadyThere, NotThere

_SESSIONS = (
    select(sessions.c.id).where(sessions.c.endpoint_id == bindparam("endpoint_id")).order_by(sessions.c.id)
).with_for_update()
_HELD = (
    select(jobs)
    .where(jobs.c.endpoint_id == bindparam("endpoint_id"), jobs.c.session.is_not(None))
    .order_by(jobs.c.seq)
    .with_for_update(key_share=True)
)


class SqlRegistry:
    """Endpoints, versions and documents in one database; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_endpoint(
        self, endpoint: Endpoint, version: EndpointVersion, events: Sequence[EndpointEvent] = ()
    ) -> None:
        """See the port."""

        def work(connection: Connection) -> None:
            _insert_new(connection, endpoints, _endpoint_values(endpoint), endpoint.name)
            _add_counts(connection, endpoint.id)
            connection.execute(insert(versions), _version_values(version))
            add_events(connection, events, ())

        await self._database.write(work)

    async def add_version(self, version: EndpointVersion) -> None:
        """See the port."""
        await self._database.write(
            partial(_insert_new, table=versions, values=_version_values(version), name=version.id)
        )

    async def save_endpoint(
        self, endpoint: Endpoint, events: Sequence[EndpointEvent] = (), deliveries: Sequence[Delivery] = ()
    ) -> None:
        """See the port."""

        def work(connection: Connection) -> None:
            _replace(connection, endpoints, _endpoint_values(endpoint), endpoint.name)
            add_events(connection, events, deliveries)

        await self._database.write(work)

    async def add_events(self, events: Sequence[EndpointEvent], deliveries: Sequence[Delivery] = ()) -> None:
        """See the port."""
        await self._database.write(partial(add_events, events=events, deliveries=deliveries))

    async def events(self, which: EventFilter) -> list[EndpointEvent]:
        """See the port."""
        return await self._database.read(partial(list_events, which=which))

    async def save_version(self, version: EndpointVersion) -> None:
        """See the port."""
        await self._database.write(partial(_replace, table=versions, values=_version_values(version), name=version.id))

    async def endpoint(self, name: str) -> Endpoint | None:
        """See the port."""
        rows = await self._endpoints(name)
        return rows[0] if rows else None

    async def endpoints(self) -> list[Endpoint]:
        """See the port."""
        return await self._endpoints(None)

    async def version(self, version_id: str) -> EndpointVersion | None:
        """See the port."""

        def query(connection: Connection) -> EndpointVersion | None:
            row = connection.execute(select(versions).where(versions.c.id == version_id)).first()
            return None if row is None else _version(row)

        return await self._database.read(query)

    async def versions(self, endpoint_id: str) -> list[EndpointVersion]:
        """See the port."""
        statement = select(versions).where(versions.c.endpoint_id == endpoint_id).order_by(versions.c.number)
        return await self._database.read(lambda connection: [_version(row) for row in connection.execute(statement)])

    async def remove_endpoint(self, endpoint_id: str) -> None:
        """See the port. Jobs that its sessions still held go back to the queue, where their deadline ends them."""
        await self._database.write(partial(_remove_endpoint, endpoint_id=endpoint_id))

    async def put_document(self, kind: str, name: str, body: Mapping[str, Any], now_ms: int) -> None:
        """See the port."""
        values = {"kind": kind, "name": name, "body": dict(body), "created_at_ms": now_ms}
        await self._database.write(partial(_insert_new, table=documents, values=values, name=name))

    async def save_document(self, kind: str, name: str, body: Mapping[str, Any], now_ms: int) -> None:
        """See the port."""
        values = {"kind": kind, "name": name, "body": dict(body), "created_at_ms": now_ms}
        statement = delete(documents).where(documents.c.kind == kind, documents.c.name == name)

        def work(connection: Connection) -> None:
            connection.execute(statement)
            connection.execute(insert(documents), values)

        await self._database.write(work)

    async def document(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """See the port."""
        statement = select(documents.c.body).where(documents.c.kind == kind, documents.c.name == name)
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def documents(self, kind: str) -> list[tuple[str, Mapping[str, Any]]]:
        """See the port."""
        statement = select(documents).where(documents.c.kind == kind)
        found = await self._database.read(
            lambda connection: [(row.name, row.body) for row in connection.execute(statement)]
        )
        return sorted(found, key=itemgetter(0))  # databases differ in how they order text

    async def replace_document(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """See the port."""
        statement = update(documents).where(documents.c.kind == kind, documents.c.name == name)

        def work(connection: Connection) -> None:
            if connection.execute(statement, {"body": dict(body)}).rowcount == 0:
                raise NotThere(f"there is no {kind} {name!r}")

        await self._database.write(work)

    async def remove_document(self, kind: str, name: str) -> None:
        """See the port."""
        statement = delete(documents).where(documents.c.kind == kind, documents.c.name == name)

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                raise NotThere(f"there is no {kind} {name!r}")

        await self._database.write(work)

    async def _endpoints(self, name: str | None) -> list[Endpoint]:
        statement = select(endpoints)
        if name is not None:
            statement = statement.where(endpoints.c.name == name)
        found = await self._database.read(lambda connection: [_endpoint(row) for row in connection.execute(statement)])
        return sorted(found, key=lambda endpoint: endpoint.name)


def _add_counts(connection: Connection, endpoint_id: str) -> None:
    """A row for each state from the start: two servers never find one missing and add it at once."""
    known = set(connection.scalars(select(job_counts.c.state).where(job_counts.c.endpoint_id == endpoint_id)))
    rows = [{"endpoint_id": endpoint_id, "state": one.value, "count": 0} for one in JobState if one.value not in known]
    if rows:
        connection.execute(insert(job_counts), rows)


def _insert_new(connection: Connection, table: Table, values: Mapping[str, Any], name: str) -> None:
    try:
        connection.execute(insert(table), values)
    except IntegrityError as error:
        if not is_taken(error):
            raise
        raise AlreadyThere(f"{name!r} is taken") from error


def _replace(connection: Connection, table: Table, values: Mapping[str, Any], name: str) -> None:
    if connection.execute(update(table).where(table.c.id == values["id"]), values).rowcount == 0:
        raise NotThere(f"there is no {name!r}")


def _remove_endpoint(connection: Connection, endpoint_id: str) -> None:
    run = Run(connection)
    run.keep_endpoints([endpoint_id])
    connection.execute(_SESSIONS, {"endpoint_id": endpoint_id})
    rows = connection.execute(_HELD, {"endpoint_id": endpoint_id}).all()
    requeue(run, [Return(row, begun=True) for row in rows])
    run.write()
    connection.execute(delete(endpoints).where(endpoints.c.id == endpoint_id))


# ---------------------------------------------------------------- rows


def _endpoint_values(endpoint: Endpoint) -> dict[str, Any]:
    return asdict(endpoint) | {"status": endpoint.status.value}


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(**{**row._mapping, "status": EndpointStatus(row.status)})


def _version_values(version: EndpointVersion) -> dict[str, Any]:
    return asdict(version)


def _version(row: Row[Any]) -> EndpointVersion:
    return EndpointVersion(
        id=row.id,
        endpoint_id=row.endpoint_id,
        endpoint_name=row.endpoint_name,
        number=row.number,
        package=PackageRef(**row.package),
        settings=_settings(row.settings),
        created_at_ms=row.created_at_ms,
        contract=row.contract,
        stages=tuple(_stage(values) for values in row.stages),
    )


def _settings(values: Mapping[str, Any]) -> VersionSettings:
    prefixes = {name: ObjectName(**values[name]) for name in ("output_prefix", "failure_prefix") if values.get(name)}
    lists = {name: tuple(values.get(name, ())) for name in ("webhooks", "webhook_events", "load_log_patterns")}
    words = {
        "update": UpdateWay(values.get("update", UpdateWay.BLUE_GREEN)),
        "canary_policy": CanaryPolicy(values.get("canary_policy", CanaryPolicy.REPORT)),
    }
    wishes = [TriggerWish(**{**one, "events": tuple(one["events"])}) for one in values.get("triggers", ())]
    scaling = {"scaling": ScalingSettings(**values["scaling"])} if values.get("scaling") else {}
    return VersionSettings(**{**values, **prefixes, **words, **lists, **scaling, "triggers": tuple(wishes)})


def _stage(values: Mapping[str, Any]) -> StageReport:
    return StageReport(**{**values, "stage": TrialStage(values["stage"]), "state": StageState(values["state"])})
