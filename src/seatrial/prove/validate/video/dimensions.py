"""`video.dimensions`: there is a picture track, of the width and height that are expected."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.video.film import read_film
from seatrial.prove.validate.video.whole import CHECK as WHOLE


def _run(subject: Subject) -> Passed:
    settings, film = subject.profile.video, subject.once(read_film)
    measured = {"width": film.width, "height": film.height}
    if not film.width or not film.height:
        raise Unfit("Video has no picture track", **measured)
    width, height = settings.width or film.width, settings.height or film.height
    if (film.width, film.height) != (width, height):
        raise Unfit(f"Wrong dimensions: {film.width}x{film.height} (expected {width}x{height})", **measured)
    return Passed(f"{film.width}x{film.height}", measured)


CHECK = Check("video.dimensions", _run, "ask the model for the expected size", needs=(*WHOLE.needs, WHOLE.id))
