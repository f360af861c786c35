"""The stage `drill`: the samples again and again, side by side and in other orders, and a worker killed in mid-job.

Each answer must equal the one that its sample gave when it ran alone, as far as the answer does not depend on
chance or time (see suspicion.py). What a worker holds in memory must not grow without end.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from seatrial.domain.errors import SeatrialError, Unproven
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import (
    DRILL_GROWTH_BYTES_MAX,
    DRILL_GROWTH_BYTES_PER_RUN_MAX,
    DRILL_MEMORY_READINGS_MIN,
    DRILL_QUICK_SECONDS,
    DRILL_RUNS_MAX,
    DRILL_RUNS_MIN,
    DRILL_SIDE_BY_SIDE,
    DRILL_STRETCH,
    DRILL_STRIKES_MAX,
    DRILL_WORKERS,
    MIB,
)
from seatrial.domain.work import MemoryReading
from seatrial.engine.crew import Crew
from seatrial.engine.trial.answer import read_answer
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.prove import Progress, Proof
from seatrial.engine.trial.reason import failure_of, unproven
from seatrial.engine.trial.runs import Runs
from seatrial.engine.trial.suspicion import Suspicion

STAGE = "drill"
STRIKE_POLL_MS = 1
READY_POLL_MS = 20
GOLDEN = (math.sqrt(5) - 1) / 2
SEED = 1  # the same order of requests in every trial of a package


class Drilling:
    """`seconds` bounds the repeated runs, not the one run that is always made; `workers` are those that may be had.

    `patience_seconds` is how long the drill waits until they have loaded.
    """

    def __init__(
        self,
        court: Court,
        crew: Crew,
        runs: Runs,
        proofs: Sequence[Proof],
        seconds: float,
        workers: int,
        patience_seconds: float,
        progress: Progress,
    ) -> None:
        self._court = court
        self._crew = crew
        self._runs = runs
        self._proofs = proofs
        self._seconds = seconds
        self._workers = min(workers, DRILL_WORKERS)
        self._patience_seconds = patience_seconds
        self._progress = progress
        self._order = random.Random(SEED)  # noqa: S311 - an order, not a secret
        self._suspicion = Suspicion(court, crew, runs, STAGE)
        self._once_seconds = sum(proof.seconds for proof in proofs)  # each sample once
        self._done = 0
        self._served = 0  # workers, at most

    async def run(self) -> tuple[None, str, dict[str, Any]]:
        """The words and details of the report.

        Raises:
            Unproven: an answer depends on what ran before or beside it, a job was lost with its worker, a worker died
                of something else than the drill, or memory grows without end.
        """
        killed = await self._strike(max(self._proofs, key=lambda proof: proof.seconds))
        self._crew.scale(self._workers)
        seconds, rounds = 0.0, 0
        while rounds == 0 or self._goes_on(seconds):
            await self._wait_for_workers()
            began_ms = self._court.clock.monotonic_ms()
            await self._round(rounds)
            self._check_deaths()
            seconds += (self._court.clock.monotonic_ms() - began_ms) / 1000
            rounds += 1
        growth = self._check_memory()
        details = {
            "runs": self._done,
            "rounds": rounds,
            "workers": self._served,
            "killed": killed,
            "memory": growth,
            "varying": self._suspicion.found,
        }
        message = f"{self._done} runs answered as alone; {killed}"
        if self._served < self._workers:
            message += f"; {self._served} of {self._workers} workers loaded in time"
        return None, message, details

    def _goes_on(self, seconds: float) -> bool:
        """For the time that was given; with quick handlers, on a busy machine, for some runs more."""
        if self._done >= DRILL_RUNS_MAX:
            return False
        stretched = self._once_seconds < DRILL_QUICK_SECONDS and self._done < DRILL_RUNS_MIN
        return seconds < (self._seconds * DRILL_STRETCH if stretched else self._seconds)

    # ------------------------------------------------------------------ side by side

    @property
    def _has_time_for_two(self) -> bool:
        """Whether a round one by one, which says nothing new of a single sample, leaves time for one side by side."""
        return len(self._proofs) > 1 and 2 * self._once_seconds < self._seconds

    async def _wait_for_workers(self) -> None:
        """Until all have loaded: a race between workers needs them. Only once for one that is late."""
        clock = self._court.clock
        ends_ms = clock.monotonic_ms() + int(self._patience_seconds * 1000)
        while self._crew.ready < self._workers and clock.monotonic_ms() < ends_ms and self._crew.broken_by is None:
            await clock.sleep_ms(READY_POLL_MS)
        if self._crew.ready < self._workers:
            self._patience_seconds = 0.0
        self._served = max(self._served, min(self._workers, self._crew.ready))

    async def _round(self, number: int) -> None:
        """Every sample, in an order of its own: in the first round one by one, if time allows, then side by side."""
        one_by_one = number == 0 and self._has_time_for_two
        often = max(math.ceil(self._workers / len(self._proofs)), min(8, int(1 / max(0.001, self._once_seconds))))
        requests = list(self._proofs) * (1 if one_by_one else often)
        self._order.shuffle(requests)
        self._progress(f"round {number + 1}", self._done, None)
        room = asyncio.Semaphore(1 if one_by_one else DRILL_SIDE_BY_SIDE)
        lead_ms = 0 if one_by_one else lead(number, requests[0].seconds)

        async def run(at: int, proof: Proof) -> Job:
            if at > 0:
                await self._court.clock.sleep_ms(lead_ms)
            async with room:
                return await self._run(proof)

        jobs = await gathered(run(at, proof) for at, proof in enumerate(requests))
        for proof, job in zip(requests, jobs, strict=True):
            await self._compare(proof, job)
        await self._runs.forget(jobs)

    async def _run(self, proof: Proof) -> Job:
        try:
            job = await self._runs.run(proof.submission)
        except Unproven:
            raise
        except SeatrialError as error:
            raise Unproven(STAGE, f"{proof.where}: {error.message}", details=error.details) from None
        self._done += 1
        if job.state is not JobState.SUCCEEDED:
            raise unproven(STAGE, f"{proof.where} passed alone, and failed beside others", failure_of(job))
        return job

    async def _compare(self, proof: Proof, job: Job) -> None:
        await self._suspicion.look(proof, await read_answer(self._court.objects, job))

    def _check_deaths(self) -> None:
        """The jobs ran again and succeeded; in service each such death would cost all clients some seconds."""
        died = self._crew.last_death
        if died is not None:
            raise unproven(STAGE, "A worker died while the samples were repeated, although each passes alone", died)

    # ------------------------------------------------------------------ a worker killed

    async def _strike(self, proof: Proof) -> str:
        """Kill the worker that is at work on a job: the job must end all the same, and once."""
        for _ in range(DRILL_STRIKES_MAX):
            job_id = await self._runs.submit(proof.submission)
            ending = asyncio.create_task(self._runs.ended(job_id))
            struck = False
            while not ending.done() and not struck:
                struck = await self._crew.strike(job_id)
                await self._court.clock.sleep_ms(STRIKE_POLL_MS)
            job = await ending
            if struck:
                return await self._survived(proof, job)
            await self._runs.forget([job])
        return "no job lasted long enough for its worker to be killed"

    async def _survived(self, proof: Proof, job: Job) -> str:
        if job.state is not JobState.SUCCEEDED:
            raise unproven(STAGE, f"{proof.where} did not survive the death of its worker", failure_of(job))
        await self._compare(proof, job)
        await self._runs.forget([job])
        return "a job whose worker was killed ended once"

    # ------------------------------------------------------------------ memory

    def _check_memory(self) -> list[dict[str, int]]:
        reported = []
        for series in self._crew.memory():
            growth, runs = growth_of(series)
            first, last = series[0].memory_bytes, series[-1].memory_bytes
            reported.append({"runs": len(series), "first_bytes": first, "last_bytes": last})
            if growth > max(DRILL_GROWTH_BYTES_MAX, DRILL_GROWTH_BYTES_PER_RUN_MAX * runs):
                message = f"A worker's memory grew by {growth // MIB} MiB over {runs} runs: it would not live long."
                remedy = "Free what a request needs once it is answered: lists that only grow, tensors kept, caches."
                raise Unproven(STAGE, message, details={"remedy": remedy, "memory": reported})
        return reported


def growth_of(series: Sequence[MemoryReading]) -> tuple[int, int]:
    """By how many bytes what a worker keeps has grown, and over how many runs.

    From the second time that it is known on: until the first a handler fills its caches.
    """
    known = [(run, one.memory_bytes) for run, one in enumerate(series) if one.kept]
    if len(known) < DRILL_MEMORY_READINGS_MIN:
        return 0, 0
    (begin, before), (end, after) = known[1], known[-1]
    return after - before, end - begin


def lead(number: int, seconds: float) -> int:
    """By how many milliseconds the first run of a round is ahead of the others, if it takes so many seconds.

    Runs that begin together stay in step, and what one does while the other is elsewhere is never seen. How far apart
    they have to be is not known: so rounds spread the lead evenly over the run and, in turn, over its orders of
    magnitude from 1 ms on. Evenly: by the multiples of the golden ratio, modulo 1 (H. Weyl, 1916).
    """
    share = (number // 2 + 1) * GOLDEN % 1
    whole = max(1.0, seconds * 1000)
    return max(1, round(whole * share if number % 2 else whole**share))


async def gathered(runs: Iterable[Coroutine[Any, Any, Job]]) -> list[Job]:
    """All of them; the first error ends the others."""
    tasks = [asyncio.create_task(one) for one in runs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
