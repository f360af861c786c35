"""What a sample answered in the trial of its version, as its report has kept it: later answers are held against it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.domain.checking.schemas import shown
from seatrial.domain.contract import Sample, Task
from seatrial.domain.endpoint import EndpointVersion, StageState, TrialStage
from seatrial.domain.jobs import Job, Part
from seatrial.domain.media_types import is_json
from seatrial.domain.objects import ObjectName
from seatrial.engine.outputs import PRIMARY
from seatrial.engine.report import REPORTS_BUCKET, Reports
from seatrial.engine.trial.answer import Answer, differing, read_answer
from seatrial.ports.object_store import ObjectStore
from seatrial.prove.differences import covered, tells_of_the_run, value_at

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProvedAnswer:
    """The answer as far as it is known. `varying`: what says nothing, since it varies by itself or was not kept."""

    answer: Answer
    varying: frozenset[str]

    async def differing(self, objects: ObjectStore, task: Task, job: Job) -> dict[str, str]:
        """Where a job's answer to the same sample differs beyond its contract: path -> what it was and is."""
        answer = await read_answer(objects, job)
        return {
            path: self._change(answer, path)
            for path in await differing(self.answer, answer, task.output, self.varying)
            if not tells_of_the_run(path) and not covered(path, self.varying)
        }

    def _change(self, answer: Answer, path: str) -> str:
        if path in self.answer.parts or path in answer.parts:
            return "other bytes"
        before, now = (value_at(one.value, path)[:1] for one in (self.answer, answer))
        return f"{shown(before[0]) if before else 'nothing'} then, {shown(now[0]) if now else 'nothing'} now"


async def proved_answer(reports: Reports, version: EndpointVersion, task: Task, sample: Sample) -> ProvedAnswer | None:
    """None: the trial has not shown that the answer is the same each time, or has not kept it.

    Raises:
        StoreUnavailable
    """
    varying = _varying(version, task)
    report = await reports.read(version.id)
    if varying is None or report is None or report.flaw is not None:
        return None
    samples: Sequence[Mapping[str, Any]] = report.document["samples"]
    ours = (one for one in samples if (one["task"], one["sample"]) == (task.name, sample.name))
    items = {item["name"]: item for item in next(ours, {}).get("items", ()) if item["role"] == "output"}
    primary = items.get(PRIMARY)
    if primary is None or "sha256" not in primary:
        return None
    value: Any = None
    if is_json(primary["media_type"]):
        content = await _kept(reports, primary)
        if content is None:
            return None
        value = json.loads(content)
        del items[PRIMARY]
        if isinstance(value, dict):
            value = {name: inner for name, inner in value.items() if name not in items}
    unknown = {name for name, item in items.items() if "sha256" not in item}
    pictures: dict[str, bytes] = {}
    for name, item in items.items():
        if item["media_type"].startswith("image/"):
            content = await _kept(reports, item)
            if content is None:
                unknown.add(name)  # of a preview nobody can tell whether the whole is alike
            else:
                pictures[name] = content
    parts = {name: _part(name, item) for name, item in items.items() if name not in unknown}
    return ProvedAnswer(Answer(value, parts, pictures), varying | unknown)


def _varying(version: EndpointVersion, task: Task) -> frozenset[str] | None:
    """Where the task's answers vary by themselves, as the drill has found; None: there was none."""
    drill = next((one for one in version.stages if one.stage is TrialStage.DRILL), None)
    if drill is None or drill.state is not StageState.PASSED or "varying" not in drill.details:
        return None
    return frozenset(drill.details["varying"].get(task.name, ()))


async def _kept(reports: Reports, item: Item) -> bytes | None:
    """All that an output was; None: only a part or a preview of it was kept."""
    kept = item.get("kept")
    if kept is None or kept["sha256"] != item["sha256"]:
        return None
    return await reports.content(kept["key"])


def _part(name: str, item: Item) -> Part:
    place = ObjectName(REPORTS_BUCKET, item.get("kept", {}).get("key", ""))
    return Part(name, place, item["size_bytes"], item["sha256"], item["media_type"])
