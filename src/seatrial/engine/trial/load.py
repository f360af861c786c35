"""The stage `load`: a fresh process, within its time, on its device, its log saying what was promised."""

from __future__ import annotations

import asyncio
from typing import Any

from seatrial.domain.endpoint import VersionSettings
from seatrial.domain.errors import Unproven
from seatrial.domain.limits import LOAD_ATTEMPTS_MAX, MIB
from seatrial.domain.work import Loaded, LoadFailed
from seatrial.engine.crew import Crew
from seatrial.engine.trial.reason import unproven
from seatrial.package.log_patterns import not_found

STAGE = "load"
LAST_LINES_SHOWN = 20


async def load(crew: Crew, settings: VersionSettings) -> tuple[Loaded, str, dict[str, Any]]:
    """What was loaded, and the words and details of the report.

    Raises:
        Unproven: it did not load, took longer than `cold_start_seconds`, or a pattern of `load_log_patterns` is not in
            what it printed.
    """
    loaded = await _start(crew)
    _check_time(loaded, settings.cold_start_seconds)
    await _check_log(loaded, settings.load_log_patterns)
    peak = max(loaded.memory_peak_bytes, loaded.memory_bytes)
    message = f"loaded in {loaded.seconds:.1f} s, {peak // MIB} MiB at most, device {loaded.device}"
    if settings.device == "cuda" and loaded.device_used is None:
        message += " so far: no model is to be seen on the GPU yet, so a sample has to show it"
    details: dict[str, Any] = {
        "seconds": loaded.seconds,
        "memory_bytes": loaded.memory_bytes,
        "memory_peak_bytes": peak,
        "device": loaded.device,
        "device_bytes": loaded.device_bytes,
        "device_used": loaded.device_used,
        "device_evidence": loaded.device_evidence,
        "device_wanted": settings.device,
        "cold_start_seconds": settings.cold_start_seconds,
        "load_log_patterns": list(settings.load_log_patterns),
    }
    return loaded, message, details


async def _start(crew: Crew) -> Loaded:
    """Once more, if the process went away by itself."""
    for start in range(1, LOAD_ATTEMPTS_MAX + 1):
        try:
            return await crew.start_first()
        except LoadFailed as failed:
            crashed = "exit_code" in failed.failure.details or "signal" in failed.failure.details
            if start == LOAD_ATTEMPTS_MAX or not crashed:
                raise unproven(STAGE, "The model did not load", failed.failure) from None
    raise AssertionError("the last start returns or raises")


def _check_time(loaded: Loaded, budget: float | None) -> None:
    if budget is None or loaded.seconds <= budget:
        return
    message = f"The model loaded in {loaded.seconds:.3g} s, and its budget is {budget:g} s (cold_start_seconds)."
    remedy = "Load less or faster, or raise cold_start_seconds in [worker]."
    details = {"remedy": remedy, "seconds": loaded.seconds, "cold_start_seconds": budget}
    raise Unproven(STAGE, message, field="cold_start_seconds", details=details)


async def _check_log(loaded: Loaded, patterns: tuple[str, ...]) -> None:
    missing = await asyncio.to_thread(not_found, patterns, loaded.log) if patterns else []
    if not missing:
        return
    listed = ", ".join(repr(one) for one in missing)
    message = f"The model loaded, and its log does not hold {listed} (load_log_patterns)."
    remedy = "Look at the log: what should have said so did not run; or correct load_log_patterns in [worker]."
    details = {"remedy": remedy, "missing": missing, "log": loaded.log.splitlines()[-LAST_LINES_SHOWN:]}
    raise Unproven(STAGE, message, field="load_log_patterns", details=details)


def check_used(loaded: Loaded, wanted: str | None, peak_bytes: int) -> None:
    """After the samples have run: was the GPU used at last, by a model that is loaded with its first request?

    `peak_bytes` is the most that one of them held on the device.

    Raises:
        Unproven: it was not.
    """
    if wanted != "cuda" or loaded.device_used is not None or peak_bytes:
        return
    message = "The package asks for the device cuda, and no sample left a trace of its model on the GPU."
    remedy = 'Load the model onto the GPU, best before the first request; or set device = "cpu" in [worker].'
    raise Unproven("prove", message, field="device", details={"remedy": remedy, "error": "device_not_used"})
