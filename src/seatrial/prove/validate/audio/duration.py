"""`audio.duration`: it holds sound, and as long as expected."""

from __future__ import annotations

from seatrial.prove.validate.audio.sound import read_sound
from seatrial.prove.validate.audio.whole import CHECK as WHOLE
from seatrial.prove.validate.check import Check, Passed, Subject, Unfit

UNTOLD = ("flac", "ogg", "m4a")  # whose headers may leave the length out


def _run(subject: Subject) -> Passed:
    settings, sound = subject.profile.audio, subject.once(read_sound)
    seconds, measured = sound.seconds, {"seconds": round(sound.seconds, 3)}
    if seconds == 0.0 and sound.format in UNTOLD:
        return Passed("its headers do not tell how long it is", measured, doubt=settings.seconds_min > 0)
    if seconds == 0.0:
        raise Unfit("Audio holds no sound", **measured)
    if seconds < settings.seconds_min:
        raise Unfit(f"Audio too short ({seconds:.2f} s, expected >{settings.seconds_min:g})", **measured)
    if settings.seconds_max is not None and seconds > settings.seconds_max:
        raise Unfit(f"Audio too long ({seconds:.2f} s, expected <{settings.seconds_max:g})", **measured)
    return Passed(f"{seconds:.2f} s", measured)


CHECK = Check("audio.duration", _run, "look whether the model stopped early", needs=(*WHOLE.needs, WHOLE.id))
