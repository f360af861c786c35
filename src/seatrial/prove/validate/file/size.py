"""`file.size`: neither too small nor too large for its kind."""

from __future__ import annotations

from seatrial.prove.limits import MEDIA_BYTES_MAX
from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.kinds import Kind


def _run(subject: Subject) -> Passed:
    size = subject.content.size_bytes
    least, most = _bounds(subject)
    measured = {"size_bytes": size, "bytes_min": least, "bytes_max": most}
    if size == 0:
        raise Unfit("File is empty", **measured)
    if size < least:
        raise Unfit(f"File too small ({size} bytes, expected >{least})", **measured)
    if size > most:
        raise Unfit(f"File too large ({size} bytes, expected <{most})", **measured)
    return Passed(f"{size:,} bytes", measured)


def _bounds(subject: Subject) -> tuple[int, int]:
    if subject.kind is Kind.OTHER:
        return 1, MEDIA_BYTES_MAX
    settings = getattr(subject.profile, subject.kind.value)
    return settings.bytes_min, settings.bytes_max


CHECK = Check(
    "file.size",
    _run,
    "a file that is cut short or of an unfinished job is small; when the size is right, set bytes_min and bytes_max",
    needs=("file.exists",),
)
