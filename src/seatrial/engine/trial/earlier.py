"""What an earlier trial of the same version has shown, as far as that still holds when the trial is run again.

The package of a version never changes. Its environment may have been built anew since: then nothing is taken over.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from seatrial.domain.contract import Contract, Sample, Task
from seatrial.domain.endpoint import EndpointVersion, StageReport, StageState, TrialStage
from seatrial.domain.errors import NotFound
from seatrial.domain.jobs import JobState
from seatrial.engine.trial.answer import read_answer
from seatrial.engine.trial.court import Court
from seatrial.engine.trial.prove import Proof, tasks_of
from seatrial.engine.trial.runs import handler_seconds
from seatrial.engine.trial.samples import SampleRequests
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject

ORDER = list(TrialStage)
TAKEN_OVER = (TrialStage.PROVE, TrialStage.REFUSE)  # the earlier ones are cheap, and the model has to be loaded


class Earlier:
    """Stages before `since` that had passed."""

    def __init__(self, court: Court, version: EndpointVersion, since: TrialStage) -> None:
        self._court = court
        self._reports = {
            one.stage: one
            for one in version.stages
            if version.settings.device is None  # whether the runs use it shows in the very worker
            and one.stage in TAKEN_OVER
            and one.state is StageState.PASSED
            and ORDER.index(one.stage) < ORDER.index(since)
        }

    async def hold_against(self, python: Path) -> None:
        """Forget all that was shown before this interpreter's environment was made."""
        changed_at_ms = await asyncio.to_thread(lambda: python.parent.parent.stat().st_mtime_ns // 1_000_000)
        self._reports = {stage: one for stage, one in self._reports.items() if one.started_at_ms >= changed_at_ms}

    def report(self, stage: TrialStage) -> StageReport | None:
        """The report of a stage that need not run again."""
        found = self._reports.get(stage)
        if found is None:
            return None
        return replace(found, details=dict(found.details) | {"taken_over": True})

    async def proofs(self, contract: Contract, requests: SampleRequests) -> list[Proof] | None:
        """The answers that the samples gave, if each of them is still there."""
        report = self._reports.get(TrialStage.PROVE)
        if report is None:
            return None
        whole = [one for one in report.details.get("samples", []) if "as" not in one]
        jobs = {(one["task"], one["sample"]): one["job_id"] for one in whole}
        proofs = []
        for task in tasks_of(contract):
            for sample in task.samples:
                proof = await self._proof(contract, requests, task, sample, jobs.get((task.name, sample.name)))
                if proof is None:
                    return None
                proofs.append(proof)
        return proofs

    async def _proof(
        self, contract: Contract, requests: SampleRequests, task: Task, sample: Sample, job_id: str | None
    ) -> Proof | None:
        if job_id is None:
            return None
        try:
            job = await self._court.inspector.job(job_id)
            if job.state is not JobState.SUCCEEDED:
                return None
            answer = await read_answer(self._court.objects, job)
        except (NotFound, NoSuchBucket, NoSuchObject):  # no longer kept
            return None
        submission = await requests.submission(contract, task, sample)
        return Proof(task, sample, submission, answer, handler_seconds(job), job)
