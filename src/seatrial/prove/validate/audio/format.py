"""`audio.format`: the sample rate and the channels that are expected."""

from __future__ import annotations

from seatrial.prove.validate.audio.sound import read_sound
from seatrial.prove.validate.audio.whole import CHECK as WHOLE
from seatrial.prove.validate.check import Check, NotApplicable, Passed, Subject, Unfit


def _run(subject: Subject) -> Passed:
    settings, sound = subject.profile.audio, subject.once(read_sound)
    if settings.sample_rate is None and settings.channels is None:
        raise NotApplicable("the profile takes any sample rate and channels")
    if settings.sample_rate not in (None, sound.sample_rate):
        raise Unfit(f"Audio has {sound.sample_rate} Hz, expected {settings.sample_rate}", sample_rate=sound.sample_rate)
    if settings.channels not in (None, sound.channels):
        raise Unfit(f"Audio has {sound.channels} channels, expected {settings.channels}", channels=sound.channels)
    return Passed("as expected")


CHECK = Check("audio.format", _run, "resample or mix before writing", needs=(*WHOLE.needs, WHOLE.id))
