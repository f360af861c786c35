"""The requests that are sent: a contract's samples, and what `vary` makes of them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seatrial.prove.contract import Contract, Sample, Task
from seatrial.prove.limits import STRESS_VARIANTS_MAX
from seatrial.prove.request import Request

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


class BadVariants(Exception):
    """There is nothing to send, or the variations are not understood; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One distinct request. `name`: task, sample and what was varied."""

    name: str
    task: Task
    sample: Sample
    request: Request


def variants_of(
    contract: Contract,
    tasks: Sequence[str] = (),
    vary: Mapping[str, Sequence[Any]] | None = None,
    interfering: str | None = None,
) -> list[Variant]:
    """Of these tasks every sample with every variation. Where none is named: all that do not interfere.

    Raises:
        BadVariants: an unknown task, no sample, a sample that has no fields to vary, or too many.
    """
    chosen = [_task(contract, name) for name in tasks]
    if not chosen:
        calm = [one for one in contract.tasks if not one.exclusive]
        chosen = [one for one in calm if one is not contract.task(interfering or "")] or calm
    made = [one for task in chosen for sample in task.samples for one in _varied(contract, task, sample, vary or {})]
    if not made:
        raise BadVariants(f"no task has a sample to send (tasks: {_named(contract.tasks)})")
    if len(made) > STRESS_VARIANTS_MAX:
        raise BadVariants(f"these are {len(made):,} distinct requests: at most {STRESS_VARIANTS_MAX}")
    return made


def exclusive_of(contract: Contract, name: str | None) -> Variant | None:
    """The request that interferes: of that task, or of the first exclusive one with a sample; None: there is none.

    Raises:
        BadVariants: there is no such task, or it has no sample.
    """
    if name is None:
        task = next((one for one in contract.tasks if one.exclusive and one.samples), None)
    else:
        task = _task(contract, name)
        if not task.samples:
            raise BadVariants(f"task {name!r} has no sample to interfere with")
    return None if task is None else _varied(contract, task, task.samples[0], {})[0]


def read_variations(given: Iterable[str]) -> dict[str, list[Any]]:
    """`FIELD=V1,V2,…` or `FIELD=1..8`: values are JSON where they read so, else text.

    Raises:
        BadVariants: not of this form.
    """
    read: dict[str, list[Any]] = {}
    for text in given:
        field, equals, values = text.partition("=")
        if not equals or not field or not values:
            raise BadVariants(
                f"{text!r} is not FIELD=VALUE,VALUE,… such as lora=a.safetensors,b.safetensors or seed=1..8"
            )
        span = _RANGE.fullmatch(values)
        if span is None:
            read[field] = [_value(one) for one in values.split(",")]
            continue
        least, most = int(span[1]), int(span[2])
        if not least <= most < least + STRESS_VARIANTS_MAX:
            raise BadVariants(f"{text!r}: a range goes up, with at most {STRESS_VARIANTS_MAX} values")
        read[field] = list(range(least, most + 1))
    return read


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _task(contract: Contract, name: str) -> Task:
    found = contract.task(name)
    if found is None:
        raise BadVariants(f"there is no task {name!r}; valid: {_named(contract.tasks)}")
    return found


def _named(tasks: Iterable[Task]) -> str:
    return ", ".join(repr(task.name) for task in tasks) or "none"


def _varied(contract: Contract, task: Task, sample: Sample, vary: Mapping[str, Sequence[Any]]) -> list[Variant]:
    name = "/".join(part for part in (task.name, sample.name) if part)
    if not vary:
        return [Variant(name=name, task=task, sample=sample, request=contract.request(task, sample))]
    if not isinstance(sample.input, dict):
        raise BadVariants(f"sample {name!r} has no fields that could be varied")
    if len(list(itertools.islice(itertools.product(*vary.values()), STRESS_VARIANTS_MAX + 1))) > STRESS_VARIANTS_MAX:
        raise BadVariants(f"sample {name!r} has more than {STRESS_VARIANTS_MAX} variations")
    made = []
    for values in itertools.product(*vary.values()):
        changed = dict(zip(vary, values, strict=True))
        other = replace(sample, input={**sample.input, **changed})
        shown = " ".join(f"{field}={value}" for field, value in changed.items())
        request = contract.request(task, other)
        made.append(Variant(name=f"{name} {shown}", task=task, sample=other, request=request))
    return made
