"""The three measurements, for any stack that can submit a job and wait for its result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.client import Connection

BODY = b'{"text": "' + b"x" * 88 + b'"}'  # 100 bytes


@dataclass(frozen=True)
class Stack:
    """How one system is spoken to: its best way to submit and its best way to wait."""

    name: str
    url: str
    headers: dict[str, str]
    submit_path: str
    result_path: Callable[[str], str]

    def connection(self) -> Connection:
        return Connection(self.url, self.headers)

    async def submit(self, connection: Connection) -> str:
        status, answer = await connection.post(self.submit_path, BODY)
        if status != 202:
            raise RuntimeError(f"{self.name}: submit answered {status}: {answer}")
        return str(answer["id"])

    async def result(self, connection: Connection, job_id: str) -> None:
        while True:
            status, answer = await connection.get(self.result_path(job_id))
            if status == 200:
                return
            if status != 202:
                raise RuntimeError(f"{self.name}: result answered {status}: {answer}")


async def _in_parallel(
    stack: Stack, connections: int, jobs: int, one: Callable[[Connection], Awaitable[None]]
) -> float:
    """Jobs per second when every connection takes the next job as soon as it is free."""
    left = iter(range(jobs))

    async def lane() -> None:
        async with stack.connection() as connection:
            for _ in left:
                await one(connection)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as lanes:
        for _ in range(connections):
            lanes.create_task(lane())
    return jobs / (time.perf_counter() - started)


async def submissions_per_second(stack: Stack, connections: int, jobs: int) -> float:
    """Durable 202s per second; the jobs are drained afterwards, outside the measurement."""
    ids: list[str] = []

    async def one(connection: Connection) -> None:
        ids.append(await stack.submit(connection))

    rate = await _in_parallel(stack, connections, jobs, one)
    async with stack.connection() as connection:
        for job_id in ids:
            await stack.result(connection, job_id)
    return rate


async def jobs_per_second(stack: Stack, connections: int, jobs: int) -> float:
    """End to end: a job has ended when its client has read its result."""

    async def one(connection: Connection) -> None:
        await stack.result(connection, await stack.submit(connection))

    return await _in_parallel(stack, connections, jobs, one)


async def latencies_ms(stack: Stack, rate_per_second: float, jobs: int) -> list[float]:
    """Submit-to-result times at a fixed rate of arrivals, ascending."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    measured: list[float] = []

    async def one(due: float) -> None:
        connection = await free.get()
        await stack.result(connection, await stack.submit(connection))
        measured.append((time.perf_counter() - due) * 1000)
        free.put_nowait(connection)

    async with asyncio.TaskGroup() as arrivals:
        opened = [await stack.connection().__aenter__() for _ in range(16)]
        for connection in opened:
            free.put_nowait(connection)
        start = time.perf_counter()
        for index in range(jobs):
            due = start + index / rate_per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            arrivals.create_task(one(due))
    for connection in opened:
        await connection.__aexit__(None, None, None)
    return sorted(measured)
