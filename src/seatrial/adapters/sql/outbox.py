"""ports.outbox.Outbox on the database: each method is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, not_, or_, select, update

from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.outbox_rows import post_deliveries, to_delivery
from seatrial.adapters.sql.schema import deliveries, delivery_attempts
from seatrial.domain.delivery import TRIAL_PREFIX, Attempt, Delivery, DeliveryFilter, DeliveryState

_OF_TRIALS = deliveries.c.receiver.startswith(TRIAL_PREFIX)
_PENDING = deliveries.c.next_at_ms.is_not(None)
_DUE = (
    select(deliveries)
    .where(
        _PENDING,
        deliveries.c.next_at_ms <= bindparam("now_ms"),
        deliveries.c.receiver.not_in(bindparam("busy", expanding=True)),
        or_(not_(_OF_TRIALS), deliveries.c.receiver.in_(bindparam("own", expanding=True))),
    )
    .order_by(deliveries.c.next_at_ms)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_DUE_OF = (
    select(deliveries)
    .where(_PENDING, deliveries.c.next_at_ms <= bindparam("now_ms"), deliveries.c.receiver == bindparam("only"))
    .order_by(deliveries.c.next_at_ms)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_GIVE_UP = (
    update(deliveries)
    .where(
        _PENDING,
        deliveries.c.receiver == bindparam("of_receiver"),
        deliveries.c.created_at_ms < bindparam("before_ms"),
    )
    .values(state=DeliveryState.FAILED.value, next_at_ms=None, ended_at_ms=bindparam("now_ms"))
)
_HOLD = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .values(next_at_ms=bindparam("until_ms"))
)
_NEXT = select(deliveries.c.next_at_ms).where(_PENDING).order_by(deliveries.c.next_at_ms).limit(1)
_ONE = select(deliveries).where(deliveries.c.id == bindparam("delivery_id"))
_ATTEMPTS = (
    select(delivery_attempts)
    .where(delivery_attempts.c.delivery_id == bindparam("delivery_id"))
    .order_by(delivery_attempts.c.number)
)
_LAST_NUMBER = select(func.max(delivery_attempts.c.number)).where(
    delivery_attempts.c.delivery_id == bindparam("delivery_id")
)
_SETTLE = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("of_id"), _PENDING)
    .values({name: bindparam(name) for name in ("state", "tries", "next_at_ms", "ended_at_ms")})
)
_AGAIN = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("of_id"))
    .values(state=DeliveryState.PENDING.value, tries=0, next_at_ms=bindparam("now_ms"), ended_at_ms=None)
)
_OLD = (
    select(deliveries.c.id)
    .where(
        or_(
            and_(
                deliveries.c.ended_at_ms.is_not(None),
                deliveries.c.ended_at_ms < bindparam("before_ms"),
                or_(
                    deliveries.c.state == DeliveryState.DELIVERED.value,
                    deliveries.c.ended_at_ms < bindparam("failed_before_ms"),
                ),
            ),
            and_(_PENDING, _OF_TRIALS, deliveries.c.created_at_ms < bindparam("before_ms")),
        )
    )
    .order_by(deliveries.c.ended_at_ms)
    .limit(bindparam("most"))
)
_DROP = delete(deliveries).where(deliveries.c.receiver == bindparam("of_receiver"), _OF_TRIALS)
_FORGET = delete(deliveries).where(deliveries.c.id.in_(bindparam("ids", expanding=True)))


class SqlOutbox:
    """The outbox of the database that the jobs are in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def post(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        await self._database.write(partial(post_deliveries, told=deliveries))

    async def take(
        self,
        now_ms: int,
        until_ms: int,
        limit: int,
        busy: frozenset[str] = frozenset(),
        own: frozenset[str] = frozenset(),
        only: str | None = None,
    ) -> list[Delivery]:
        """See the port."""
        which: dict[str, Any] = {"now_ms": now_ms, "most": limit}
        which |= {"busy": sorted(busy), "own": sorted(own)} if only is None else {"only": only}
        return await self._database.write(partial(_take, which=which, until_ms=until_ms))

    async def record(
        self, delivery_id: str, attempt: Attempt, state: DeliveryState, tries: int, next_at_ms: int | None
    ) -> None:
        """See the port."""
        settled: dict[str, Any] = {"state": state.value, "tries": tries, "next_at_ms": next_at_ms}
        settled["ended_at_ms"] = None if next_at_ms is not None else attempt.at_ms + attempt.duration_ms
        await self._database.write(
            partial(_record, delivery_id=delivery_id, attempt=attempt, settled={"of_id": delivery_id, **settled})
        )

    async def next_due_ms(self) -> int | None:
        """See the port."""
        return await self._database.read(lambda connection: connection.execute(_NEXT).scalar())

    async def deliveries(self, which: DeliveryFilter) -> list[Delivery]:
        """See the port."""
        return await self._database.read(partial(_list, which=which))

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """See the port."""
        return await self._database.read(partial(_read, delivery_id=delivery_id))

    async def replay(self, delivery_id: str, now_ms: int) -> Delivery | None:
        """See the port."""
        return await self._database.write(partial(_replay, delivery_id=delivery_id, now_ms=now_ms))

    async def give_up(self, receiver: str, created_before_ms: int, now_ms: int) -> int:
        """See the port."""
        which = {"of_receiver": receiver, "before_ms": created_before_ms, "now_ms": now_ms}
        return await self._database.write(lambda connection: connection.execute(_GIVE_UP, which).rowcount)

    async def forget(self, delivered_before_ms: int, failed_before_ms: int, limit: int) -> int:
        """See the port."""
        which = {"before_ms": delivered_before_ms, "failed_before_ms": failed_before_ms, "most": limit}
        return await self._database.write(partial(_forget, which=which))

    async def drop(self, receiver: str) -> None:
        """See the port."""
        await self._database.write(partial(_drop, receiver=receiver))


def _drop(connection: Connection, receiver: str) -> None:
    connection.execute(_DROP, {"of_receiver": receiver})


def _take(connection: Connection, which: dict[str, Any], until_ms: int) -> list[Delivery]:
    rows = connection.execute(_DUE_OF if "only" in which else _DUE, which).all()
    if rows:
        connection.execute(_HOLD, {"ids": [row.id for row in rows], "until_ms": until_ms})
    return [to_delivery(row) for row in rows]


def _record(connection: Connection, delivery_id: str, attempt: Attempt, settled: dict[str, Any]) -> None:
    if connection.execute(_ONE, {"delivery_id": delivery_id}).first() is None:
        return  # forgotten meanwhile
    number = (connection.execute(_LAST_NUMBER, {"delivery_id": delivery_id}).scalar() or 0) + 1
    values: dict[str, Any] = {"at_ms": attempt.at_ms, "duration_ms": attempt.duration_ms, "status": attempt.status}
    values |= {"answer": attempt.answer, "error": attempt.error, "delivery_id": delivery_id, "number": number}
    connection.execute(insert(delivery_attempts), values)
    connection.execute(_SETTLE, settled)


def _read(connection: Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(_ONE, {"delivery_id": delivery_id}).first()
    return None if row is None else _whole(connection, row)


def _whole(connection: Connection, row: Row[Any]) -> Delivery:
    attempts = connection.execute(_ATTEMPTS, {"delivery_id": row.id}).mappings().all()
    return to_delivery(row, [dict(one) for one in attempts])


def _list(connection: Connection, which: DeliveryFilter) -> list[Delivery]:
    page = select(deliveries).order_by(deliveries.c.seq.desc()).limit(which.limit)
    if which.before is not None:
        seq = connection.execute(select(deliveries.c.seq).where(deliveries.c.id == which.before)).scalar()
        if seq is None:
            return []
        page = page.where(deliveries.c.seq < seq)
    if which.job_id is not None:
        page = page.where(deliveries.c.job_id == which.job_id)
    if which.within is not None:
        page = page.where(deliveries.c.endpoint_name.in_(sorted(which.within)))
    if which.endpoint_name is not None:
        page = page.where(deliveries.c.endpoint_name == which.endpoint_name)
    if which.state is not None:
        page = page.where(deliveries.c.state == which.state.value)
    return [to_delivery(row) for row in connection.execute(page)]


def _replay(connection: Connection, delivery_id: str, now_ms: int) -> Delivery | None:
    connection.execute(_AGAIN, {"of_id": delivery_id, "now_ms": now_ms})
    return _read(connection, delivery_id)


def _forget(connection: Connection, which: dict[str, int]) -> int:
    ids = list(connection.execute(_OLD, which).scalars())
    if ids:
        connection.execute(_FORGET, {"ids": ids})
    return len(ids)
