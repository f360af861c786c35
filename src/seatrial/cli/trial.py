"""Show the stages of a trial as they happen."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from seatrial.cli.screen import note, one_line
from seatrial.cli.server import LONG_POLL_SECONDS, Server

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

LINE_PAUSE_SECONDS = 5.0
BAR_COLUMNS = 40
STAGES = ("inspect", "environment", "weights", "load", "prove", "refuse", "drill", "report")


class _Board(Protocol):
    def show(self, stages: list[dict[str, Any]]) -> None: ...


def watch_trial(server: Server, endpoint: dict[str, Any]) -> dict[str, Any]:
    """Follow the trial under way, or the newest version's, to its end; the endpoint as it is then.

    `endpoint` is as the API shows it.
    """
    version_id = endpoint["target_version"] or endpoint["versions"][-1]["id"]
    board, live = trial_board()
    with live:
        while True:
            version = next(one for one in endpoint["versions"] if one["id"] == version_id)
            board.show(version["stages"])
            if endpoint["target_version"] != version_id:
                return endpoint
            path = f"/v1/endpoints/{endpoint['name']}"
            endpoint = server.get(path, wait=LONG_POLL_SECONDS, since=endpoint["change"])


def passed(endpoint: dict[str, Any]) -> bool:
    """Whether the newest version is the one in service."""
    return bool(endpoint["active_version"] == endpoint["versions"][-1]["id"])


def stage_seconds(stage: dict[str, Any]) -> float | None:
    """How long a stage took; None while it runs."""
    if stage["ended_at"] is None:
        return None
    took = datetime.fromisoformat(stage["ended_at"]) - datetime.fromisoformat(stage["started_at"])
    return took.total_seconds()


def trial_board() -> tuple[_Board, AbstractContextManager[Any]]:
    """What shows stages on standard error, and the context in which it does: a live table on a terminal, else lines."""
    if not sys.stderr.isatty():
        return Lines(), nullcontext()
    live = LiveTable()
    return live, live.live


class Lines:
    """One line for each stage that begins or ends, and now and then how far one is."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """`seconds` is a clock."""
        self._seconds = seconds
        self._said: dict[tuple[str, str], tuple[str, float]] = {}

    def show(self, stages: list[dict[str, Any]]) -> None:
        """Say what is new."""
        now = self._seconds()
        self._show_estimate(stages)
        for stage in stages:
            key = (stage["stage"], stage["state"])
            message, at = self._said.get(key, ("", -math.inf))
            if key not in self._said or (stage["message"] != message and now - at >= LINE_PAUSE_SECONDS):
                self._said[key] = (stage["message"], now)
                note(_line(stage))
                for text in notes_of(stage):
                    note(f"{'':<12} {text}")

    def _show_estimate(self, stages: list[dict[str, Any]]) -> None:
        """What will run, and once more when it is known how long that takes."""
        for estimate in (stage["details"].get("estimate") for stage in stages if stage["state"] == "running"):
            key = ("estimate", str(estimate is not None and estimate["seconds"] is not None))
            if estimate is not None and key not in self._said:
                self._said[key] = ("", self._seconds())
                note(f"{'prove':<12} {estimate['words']}")


def notes_of(stage: dict[str, Any]) -> list[str]:
    """What did not fail a stage that has ended, and is to be known."""
    ended = stage["state"] in ("passed", "failed")
    kinds = ("warnings", "left_out") if ended else ()
    return [
        f"{kind.replace('_', ' ')}: {one_line(str(text))}" for kind in kinds for text in stage["details"].get(kind, [])
    ]


def _line(stage: dict[str, Any]) -> str:
    seconds = stage_seconds(stage)
    took = "" if seconds is None else f" {seconds:.1f} s"
    return f"{stage['stage']:<12} {stage['state']}{took}  {stage['message']}".rstrip()


def _what(stage: dict[str, Any]) -> RenderableType:
    """The stage's message, beside a bar where it says how far it is."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    message = Text("\n".join([stage["message"], *notes_of(stage)]))
    done, total = stage["details"].get("done"), stage["details"].get("total")
    if stage["state"] != "running" or done is None or not total:
        return message
    row = Table.grid(padding=(0, 2))
    row.add_row(ProgressBar(total=total, completed=done, width=BAR_COLUMNS), message)
    return row


class LiveTable:
    """A table that is drawn again at each change, with a spinner beside what runs."""

    def __init__(self, console: Console | None = None) -> None:
        """`console` is standard error's, unless said otherwise."""
        from rich.console import Console
        from rich.live import Live

        self.live = Live(console=console or Console(stderr=True), refresh_per_second=8)

    def show(self, stages: list[dict[str, Any]]) -> None:
        """Draw it again."""
        self.live.update(self._table({stage["stage"]: stage for stage in stages}))

    def _table(self, stages: dict[str, dict[str, Any]]) -> Table:
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        marks = {"passed": Text("✓", "green"), "failed": Text("✗", "red"), "skipped": Text("-", "dim")}
        table = Table.grid(padding=(0, 2))
        for name in STAGES:
            stage = stages.get(name)
            if stage is None:
                table.add_row(Text("·", "dim"), Text(name, "dim"))
                continue
            mark = marks.get(stage["state"]) or Spinner("dots")
            seconds = stage_seconds(stage)
            table.add_row(mark, name, "" if seconds is None else f"{seconds:.1f} s", _what(stage))
        return table
