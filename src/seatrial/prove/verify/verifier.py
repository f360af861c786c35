"""Goes through the checklist."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from seatrial.prove.contract import Contract
from seatrial.prove.targets.target import Target
from seatrial.prove.targets.trouble import TargetTrouble
from seatrial.prove.verify.check import Line
from seatrial.prove.verify.checklist import CHECKLIST
from seatrial.prove.verify.checks import cleanup
from seatrial.prove.verify.plan import plan_of
from seatrial.prove.verify.report import Report
from seatrial.prove.verify.round import Round, Settings


class Verifier:
    """Verifies one target against one contract, as often as it is asked to."""

    def __init__(self, target: Target, contract: Contract, settings: Settings | None = None) -> None:
        self._target = target
        self._contract = contract
        self._settings = settings or Settings()
        self.plan = plan_of(target, contract)

    def run(
        self, progress: Callable[[str], None] = lambda words: None, show: Callable[[Line], None] = lambda line: None
    ) -> Report:
        """One round. `progress` hears what is being done, `show` each line as it is found.

        Broken off in the middle, it still cancels what is under way, and removes what it stored.

        Raises:
            MissingLibrary: an output's kind needs the extra `validate`.
        """
        began = time.monotonic()
        round_ = Round(self._target, self._contract, self._settings, progress)
        round_.failures_before = self._failures()
        lines: list[Line] = []
        try:
            for check in CHECKLIST:
                progress(check.title)
                for line in check.lines(round_):
                    lines.append(line)
                    show(line)
        except BaseException:
            self._give_up(round_)
            cleanup.CHECK.lines(round_)
            raise
        return Report(
            plan=self.plan,
            began_at=round_.began_at,
            seconds=time.monotonic() - began,
            invocations=round_.invocations,
            lines=tuple(lines),
            runs=tuple(round_.runs),
        )

    def _give_up(self, round_: Round) -> None:
        """Cancel the request that is under way, where the wire can: they are sent one after the other."""
        for ticket in round_.tickets[-1:]:
            with suppress(TargetTrouble):  # it has no cancel, or the request has just ended
                self._target.cancel(ticket)

    def _failures(self) -> frozenset[str] | TargetTrouble:
        try:
            return self._target.failures()
        except TargetTrouble as trouble:
            return trouble
