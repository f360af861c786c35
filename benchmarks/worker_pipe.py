"""How many echo jobs a second pass through the pool and one worker process.

python benchmarks/worker_pipe.py [--jobs 50000] [--outstanding 64] [--bytes 100]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from seatrial.adapters.processes.pool import ProcessPool
from seatrial.adapters.processes.worker import ProcessWorker
from seatrial.domain.logs import LogFilter, LogLine, LogStream
from seatrial.domain.work import Work, WorkerSpec

ECHO = """
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return data
"""


class NoLogs:
    def append(self, lines: Sequence[LogLine]) -> None:
        pass

    async def lines(self, which: LogFilter) -> list[LogLine]:
        return []

    async def streams(self, group: str) -> list[LogStream]:
        return []

    async def groups(self) -> list[str]:
        return []


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1_000)


async def keep_busy(worker: ProcessWorker, jobs: int, outstanding: int, body: bytes) -> float:
    tokens = iter(range(jobs))

    async def one_after_another() -> None:
        for number in tokens:
            work = Work(f"{number:032x}", f"{number:032x}", 60_000, body=body, media_type="application/octet-stream")
            answer = await worker.run(work)
            assert answer.body == body

    started = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(outstanding)))
    return jobs / (time.perf_counter() - started)


async def main(jobs: int, outstanding: int, body_bytes: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        code = base / "package" / "code"
        code.mkdir(parents=True)
        (code / "inference.py").write_text(ECHO)
        data = base / "data"
        data.mkdir()
        pool = ProcessPool(NoLogs(), data, SystemClock())
        spec = WorkerSpec("echo", "1", "sagemaker", base / "package", Path(sys.executable), data / "w", {})
        worker = await pool.start(spec)
        loaded = await worker.load()
        print(f"loaded in {loaded.seconds * 1_000:.0f} ms, isolation: {pool.isolation() or 'yes'}")
        for depth in (1, outstanding):
            count = jobs if depth > 1 else jobs // 10
            rates = [await keep_busy(worker, count, depth, b"x" * body_bytes) for _ in range(rounds)]
            listed = ", ".join(f"{rate:,.0f}" for rate in rates)
            print(f"{depth:>3} outstanding: {statistics.median(rates):>8,.0f} jobs/s   ({listed})")
        await worker.stop(5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--outstanding", type=int, default=64)
    parser.add_argument("--bytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.jobs, given.outstanding, given.bytes, given.rounds))
