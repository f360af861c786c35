"""`video.duration`: as long as expected."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit
from seatrial.prove.validate.video.film import read_film
from seatrial.prove.validate.video.whole import CHECK as WHOLE


def _run(subject: Subject) -> Passed:
    settings, seconds = subject.profile.video, subject.once(read_film).seconds
    measured = {"seconds": round(seconds, 3)}
    if seconds == 0.0:
        raise NotApplicable("its headers do not tell how long it is, as of a live recording")
    if seconds < settings.seconds_min:
        raise Unfit(f"Video too short ({seconds:.2f} s, expected >{settings.seconds_min:g})", **measured)
    if settings.seconds_max is not None and seconds > settings.seconds_max:
        raise Unfit(f"Video too long ({seconds:.2f} s, expected <{settings.seconds_max:g})", **measured)
    return Passed(f"{seconds:.2f} s", measured)


CHECK = Check("video.duration", _run, "look whether the model stopped early", needs=(*WHOLE.needs, WHOLE.id))
