"""The stage `drill`: the samples again and again, side by side and in other orders, and a worker killed in mid-job.

Each answer must equal the one that its sample gave when it ran alone, as far as the answer does not depend on
chance or time (see suspicion.py). What a worker holds in memory must not grow without end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from seatrial.domain.errors import SeatrialError, Unproven
from seatrial.domain.jobs import Job, JobState
from seatrial.domain.limits import (
    DRILL_GROWTH_BYTES_MAX,
    DRILL_GROWTH_BYTES_PER_RUN_MAX,
    DRILL_QUICK_SECONDS,
    DRILL_RUNS_MAX,
    DRILL_RUNS_MIN,
    DRILL_SIDE_BY_SIDE,
    DRILL_STRETCH,
    DRILL_STRIKES_MAX,
    DRILL_WORKERS,
    MIB,
)
from seatrial.engine.crew import Crew
from seatrial.engine.trial.answer import read_answer
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.prove import Progress, Proof
from seatrial.engine.trial.reason import failure_of, unproven
from seatrial.engine.trial.runs import Runs
from seatrial.engine.trial.suspicion import Suspicion

STAGE = "drill"
STRIKE_POLL_MS = 1
SEED = 1  # the same order of requests in every trial of a package


class Drilling:
    """`seconds` bounds the repeated runs, not the one run that is always made; `workers` are those that may be had."""

    def __init__(
        self,
        court: Court,
        crew: Crew,
        runs: Runs,
        proofs: Sequence[Proof],
        seconds: float,
        workers: int,
        progress: Progress,
    ) -> None:
        self._court = court
        self._crew = crew
        self._runs = runs
        self._proofs = proofs
        self._seconds = seconds
        self._workers = min(workers, DRILL_WORKERS)
        self._progress = progress
        self._order = random.Random(SEED)  # noqa: S311 - an order, not a secret
        self._suspicion = Suspicion(court, crew, runs, STAGE)
        self._once_seconds = sum(proof.seconds for proof in proofs)  # each sample once
        self._done = 0

    async def run(self) -> tuple[None, str, dict[str, Any]]:
        """The words and details of the report.

        Raises:
            Unproven: an answer depends on what ran before or beside it, a job was lost with its worker, a worker died
                of something else than the drill, or memory grows without end.
        """
        killed = await self._strike(max(self._proofs, key=lambda proof: proof.seconds))
        self._crew.scale(self._workers)
        began_ms = self._court.clock.monotonic_ms()
        rounds = 0
        while rounds == 0 or self._goes_on((self._court.clock.monotonic_ms() - began_ms) / 1000):
            await self._round(rounds)
            self._check_deaths()
            rounds += 1
        growth = self._check_memory()
        details = {
            "runs": self._done,
            "rounds": rounds,
            "workers": self._workers,
            "killed": killed,
            "memory": growth,
            "varying": self._suspicion.found,
        }
        message = f"{self._done} runs answered as alone; {killed}"
        return None, message, details

    def _goes_on(self, seconds: float) -> bool:
        """For the time that was given; with quick handlers, on a busy machine, for some runs more."""
        if self._done >= DRILL_RUNS_MAX:
            return False
        stretched = self._once_seconds < DRILL_QUICK_SECONDS and self._done < DRILL_RUNS_MIN
        return seconds < (self._seconds * DRILL_STRETCH if stretched else self._seconds)

    # ------------------------------------------------------------------ side by side

    async def _round(self, number: int) -> None:
        """Every sample, in an order of its own: one by one in the first round, then side by side."""
        copies = 1 if number == 0 else max(1, min(8, int(1 / max(0.001, self._once_seconds))))
        requests = list(self._proofs) * copies
        self._order.shuffle(requests)
        self._progress(f"round {number + 1}", self._done, None)
        room = asyncio.Semaphore(1 if number == 0 and len(requests) > 1 else DRILL_SIDE_BY_SIDE)

        async def run(proof: Proof) -> Job:
            async with room:
                return await self._run(proof)

        jobs = await gathered(run(proof) for proof in requests)
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
            half = len(series) // 2
            growth = series[-1] - series[half] if half else 0
            reported.append({"runs": len(series), "first_bytes": series[0], "last_bytes": series[-1]})
            leaked = max(DRILL_GROWTH_BYTES_MAX, DRILL_GROWTH_BYTES_PER_RUN_MAX * (len(series) - half))
            if growth > leaked:
                message = (
                    f"A worker's memory grew by {growth // MIB} MiB over its last {len(series) - half} runs, and by "
                    f"{(series[-1] - series[0]) // MIB} MiB over {len(series)}: it would not live long."
                )
                remedy = "Free what a request needs once it is answered: lists that only grow, tensors kept, caches."
                raise Unproven(STAGE, message, details={"remedy": remedy, "memory": reported})
        return reported


async def gathered(runs: Iterable[Coroutine[Any, Any, Job]]) -> list[Job]:
    """All of them; the first error ends the others."""
    tasks = [asyncio.create_task(one) for one in runs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
