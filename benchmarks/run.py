"""`make bench`: Seatrial beside FastAPI + Celery + Redis, one echo worker each, interleaved rounds, ratios.

Both servers run for the whole time; only one is under load at any moment. A job has ended when its client has
read its result. Stops by itself; talks to loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections import defaultdict

from rich.console import Console
from rich.table import Table

from benchmarks.load import Stack, jobs_per_second, latencies_ms, submissions_per_second
from benchmarks.stacks import celery_stack, seatrial_stack

MARK = 3.0  # end-to-end jobs/s must be at least this many times the peer's


async def measure(stack: Stack, jobs: int, connections: int, rate: float) -> dict[str, float]:
    """One round of one stack."""
    await jobs_per_second(stack, connections, max(jobs // 10, connections))  # warm
    submitted = await submissions_per_second(stack, connections, jobs)
    ended = await jobs_per_second(stack, connections, jobs)
    times = await latencies_ms(stack, rate, int(rate * 5))
    return {
        "submissions/s": submitted,
        "jobs/s end to end": ended,
        f"p50 ms at {rate:g}/s": times[len(times) // 2],
        f"p99 ms at {rate:g}/s": times[int(len(times) * 0.99)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2_000, help="jobs per measurement")
    parser.add_argument("--connections", type=int, default=32, help="keep-alive connections")
    parser.add_argument("--rate", type=float, default=30.0, help="arrivals/s for the latency figures")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json)
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with seatrial_stack() as ours, celery_stack() as peer:
        for round_number in range(1, chosen.rounds + 1):
            for stack in (ours, peer):
                console.print(f"round {round_number} of {chosen.rounds}: {stack.name}")
                figures_now = asyncio.run(measure(stack, chosen.jobs, chosen.connections, chosen.rate))
                for figure, value in figures_now.items():
                    figures[figure][stack.name].append(value)
    return report(figures, ours.name, peer.name, chosen.json, console)


def report(figures: dict[str, dict[str, list[float]]], ours: str, peer: str, as_json: bool, console: Console) -> int:
    """Medians of the rounds, and the ratio of each pair of rounds."""
    table = Table("figure", ours, peer, "ratio (median of rounds)", title="medians; one worker each")
    told = {}
    for figure, by_stack in figures.items():
        ratios = [a / b for a, b in zip(by_stack[ours], by_stack[peer], strict=True)]
        medians = [statistics.median(by_stack[name]) for name in (ours, peer)]
        told[figure] = {ours: medians[0], peer: medians[1], "ratio": statistics.median(ratios), "ratios": ratios}
        table.add_row(figure, f"{medians[0]:,.1f}", f"{medians[1]:,.1f}", f"{statistics.median(ratios):.2f}")
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        console.print(table)
    ratio = told["jobs/s end to end"]["ratio"]
    console.print(f"mark: {MARK:g} times the peer's end-to-end jobs/s: {'passed' if ratio >= MARK else 'missed'}")
    return 0 if ratio >= MARK else 1


if __name__ == "__main__":
    raise SystemExit(main())
