"""Are there critical errors in the log of the time in which the samples ran?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from seatrial.prove.limits import WORDS_SHOWN_CHARS_MAX
from seatrial.prove.verify.check import Check, Line, failed, not_applicable, ok, warned
from seatrial.prove.verify.round import Round

ID = "logs.no_critical"
USUAL = (
    r"\b(CRITICAL|FATAL)\b",
    r"Traceback \(most recent call last\)",
    r"(?i)\bout of memory\b",
    r"(?i)\bCUDA error\b",
    r"(?i)\bsegmentation fault\b",
    r"(?i)\bfailed to load\b",
    r"\b(ModuleNotFoundError|ImportError)\b",
    r"(?i)\bworker (died|crashed)\b",
)
_ERROR = re.compile(r"\bERROR\b")


def look(round_: Round) -> Iterator[Line]:
    """Bad requests are sent after that time, so that the tracebacks which they cause do not count."""
    if not round_.runs:
        yield not_applicable(ID, "no sample was run")
        return
    lines = round_.target.logs(round_.began_at, round_.answered_at)
    patterns = [re.compile(one) for one in round_.contract.critical_log_patterns or USUAL]
    critical = [line for line in lines if any(one.search(line.text) for one in patterns)]
    errors = [line for line in lines if _ERROR.search(line.text)]
    if critical:
        words = critical[0].text.strip()[:WORDS_SHOWN_CHARS_MAX]
        yield failed(ID, f"{len(critical)} critical lines, first: {words}", "read the log", lines=len(critical))
    elif errors:
        words = errors[0].text.strip()[:WORDS_SHOWN_CHARS_MAX]
        yield warned(ID, f"{len(errors)} lines say ERROR, first: {words}", "read the log", lines=len(errors))
    else:
        yield ok(ID, f"none in {len(lines):,} lines of that time", lines=len(lines))


CHECK = Check(ID, "no critical errors in the log", look, point="8")
