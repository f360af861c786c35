"""Holds outputs against the validators that their contract names (`prove/validate`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from seatrial.domain.contract import Output, OutputPart, Task
from seatrial.domain.errors import OUTPUT_INVALID, SeatrialError
from seatrial.domain.limits import COMPILED_TASKS_KEPT, OUTPUT_VALIDATIONS_AT_ONCE_MAX
from seatrial.domain.media_types import extension_of
from seatrial.engine.images import MEDIA_SUPPORT_MISSING
from seatrial.prove.validate import (
    Finding,
    MissingLibrary,
    Outcome,
    Profile,
    Verdict,
    kind_of_name,
    profile_from,
    validate_bytes,
    validate_file,
)


class OutputValidator:
    """A few outputs at a time: each may take its pixels' memory."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(OUTPUT_VALIDATIONS_AT_ONCE_MAX)

    async def check(self, task: Task, declared: Output | OutputPart, content: bytes | Path, media_type: str) -> None:
        """Nothing happens where the contract names no validators.

        Raises:
            SeatrialError: output_invalid, with the id and the words of the first finding that failed;
                media_support_missing: the libraries to look with are not installed.
        """
        if declared.validate is None:
            return
        name = declared.name if isinstance(declared, OutputPart) else "result"
        async with self._turns:
            verdict = await asyncio.to_thread(_look, declared.validate, content, f"{name}{extension_of(media_type)}")
        failed = next((one for one in verdict.findings if one.outcome is Outcome.FAILED), None)
        if failed is not None:
            raise _invalid(task, None if isinstance(declared, Output) else declared.name, failed)


def _look(validate: Mapping[str, Any], content: bytes | Path, name: str) -> Verdict:
    profile, kind = _profile(json.dumps(validate, sort_keys=True)), kind_of_name(name)
    try:
        if isinstance(content, bytes):
            return validate_bytes(content, name, profile, kind)
        return validate_file(content, profile, kind)
    except MissingLibrary as missing:
        message = f"The output cannot be checked as its contract asks: {missing}"
        raise SeatrialError(MEDIA_SUPPORT_MISSING, message) from None


@lru_cache(COMPILED_TASKS_KEPT)
def _profile(told: str) -> Profile:
    return profile_from(json.loads(told), "validate", "validate")


def _invalid(task: Task, part: str | None, failed: Finding) -> SeatrialError:
    what = "answer" if part is None else f"part {part!r}"
    message = f"The {what} of task {task.name!r} is not valid: {failed.message} ({failed.id})"
    remedy = f"{failed.remedy[:1].upper()}{failed.remedy[1:]}."
    details = {"task": task.name, "finding": failed.id, "measured": dict(failed.measured), "remedy": remedy}
    return SeatrialError(OUTPUT_INVALID, message, field=part, details=details)
