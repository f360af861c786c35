"""What a trial will run from its proofs on, and about how long that takes, once a first run has shown it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """Counts are runs; `drill_seconds` is how long the drill repeats its runs (0: it is left out).

    `seconds_per_run` is the mean of the runs so far, None before the first; `minutes_max` bounds the whole.
    """

    samples: int
    aliases_and_forms: int
    pictures: int
    drill_seconds: float
    minutes_max: int | None = None
    seconds_per_run: float | None = None

    @property
    def runs(self) -> int:
        """Of the stage prove."""
        return self.samples + self.aliases_and_forms + self.pictures

    @property
    def seconds(self) -> float | None:
        """About how long prove and drill take; bad requests are refused in no time. None: nothing has run yet."""
        if self.seconds_per_run is None:
            return None
        once_more = (self.samples + 1) * self.seconds_per_run  # each sample, and one whose worker is killed
        drill = max(self.drill_seconds, once_more) if self.drill_seconds > 0 else 0.0
        total = self.runs * self.seconds_per_run + drill
        least = self.samples * self.seconds_per_run  # each sample runs, whatever the bound
        return total if self.minutes_max is None else max(least, min(total, self.minutes_max * 60))

    def words(self) -> str:
        """For people."""
        counted = (
            (self.samples, "sample", "samples"),
            (self.aliases_and_forms, "alias or form", "aliases and forms"),
            (self.pictures, "other picture", "other pictures"),
        )
        parts = [f"{count} {one if count == 1 else many}" for count, one, many in counted if count]
        what = ", ".join(parts) or "no sample"
        drill = f", a drill of {self.drill_seconds:g} s" if self.drill_seconds > 0 and self.samples else ""
        minutes = "1 minute" if self.minutes_max == 1 else f"{self.minutes_max} minutes"
        bound = f", {minutes} at most" if self.minutes_max is not None else ""
        if self.seconds is None or self.seconds_per_run is None:
            return f"will run {what}{drill}{bound}"
        total = f"about {self.seconds:.0f} s" if self.seconds >= 1 else "less than a second"
        if self.minutes_max is not None and self.seconds > self.minutes_max * 60:
            bound += ", but each sample once"
        return f"will run {what}{drill}{bound}: {total}, at {self.seconds_per_run:.2g} s a run"

    def told(self) -> dict[str, Any]:
        """For the report of the stage, in plain JSON."""
        return {
            "samples": self.samples,
            "aliases_and_forms": self.aliases_and_forms,
            "pictures": self.pictures,
            "drill_seconds": self.drill_seconds,
            "minutes_max": self.minutes_max,
            "seconds_per_run": None if self.seconds_per_run is None else round(self.seconds_per_run, 3),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "words": self.words(),
        }
