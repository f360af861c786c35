"""Does the log show that the model loaded?"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from seatrial.prove.limits import LOAD_LOG_SECONDS, LOG_SETTLE_SECONDS_MAX, POLL_SECONDS_MAX, WORDS_SHOWN_CHARS_MAX
from seatrial.prove.targets.target import Description, LogLine
from seatrial.prove.targets.trouble import NotOffered
from seatrial.prove.verify.check import Check, Line, failed, ok
from seatrial.prove.verify.round import Round

ID = "logs.model_loaded"
USUAL = (
    r"(?i)\bload passed\b",
    r"(?i)\bmodels?\b.{0,80}\b(is |are |was |were |been )?(successfully )?(loaded|initiali[sz]ed|ready)\b",
    r"(?i)\b(loaded|initiali[sz]ed) (the )?.{0,80}\b(model|weights|pipeline|checkpoint)",
    r"(?i)\b(pipeline|weights|checkpoint)s?\b.{0,40}\bloaded\b",
    r"(?i)\bsetup (succeeded|completed)\b",
)

_DENIAL = re.compile(r"(?i)\b(not|un(able|loaded)|cannot|can't|couldn't|failed|failure|errors?)\b")


def look(round_: Round) -> Iterator[Line]:
    """The line that shows it, out of those written around the last deployment; else what the server itself tells."""
    told = round_.description
    if told is None:
        return
    try:
        lines = _around_the_load(round_, told)
    except NotOffered:
        if told.load is None:
            raise
        lines = ()
    missing = _missing(lines, round_.contract.load_log_patterns)
    shown = _shown(lines, round_.contract.load_log_patterns or USUAL)
    if missing:
        words = f"none of {len(lines):,} lines matches {missing!r} of load_log_patterns"
        yield failed(ID, words, "see why in the log of its start, or correct the pattern")
    elif shown is not None:
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(shown.at))
        yield ok(ID, f"{at} {shown.text.strip()[:WORDS_SHOWN_CHARS_MAX]}")
    elif told.load is not None:
        well, words = told.load
        yield ok(ID, words) if well else failed(ID, words, "see why in the log of its start")
    elif not lines:
        yield failed(ID, "the log has no lines of the time when it loaded", "is the log kept, and written to?")
    else:
        words = f"none of {len(lines):,} lines shows that the model loaded"
        yield failed(ID, words, "let the handler log it, or declare its words: [worker] load_log_patterns")


def _around_the_load(round_: Round, told: Description) -> Sequence[LogLine]:
    """Lines from before the last change on; while none of them fits, also of the time since it was created."""
    patterns = round_.contract.load_log_patterns or USUAL
    since = (told.since or round_.began_at) - LOAD_LOG_SECONDS
    lines = round_.target.logs(since)
    give_up = time.monotonic() + LOG_SETTLE_SECONDS_MAX
    fresh = told.since is not None and round_.began_at - told.since < LOG_SETTLE_SECONDS_MAX
    while fresh and _shown(lines, patterns) is None and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS_MAX)
        lines = round_.target.logs(since)
    if _shown(lines, patterns) is None and told.created is not None and told.created < since:
        lines = [*round_.target.logs(told.created, since), *lines]
    return lines


def _missing(lines: Sequence[LogLine], declared: Sequence[str]) -> str | None:
    """The first declared pattern that no line matches."""
    return next((one for one in declared if not any(re.search(one, line.text) for line in lines)), None)


def _shown(lines: Sequence[LogLine], patterns: Sequence[str]) -> LogLine | None:
    compiled = [re.compile(one) for one in patterns]
    told = (line for line in reversed(lines) if patterns is not USUAL or not _DENIAL.search(line.text))
    return next((line for line in told if any(one.search(line.text) for one in compiled)), None)


CHECK = Check(ID, "the log shows that the model loaded", look, point="3")
