"""`audio.whole`: sane headers, and as many bytes as they say (WAV, FLAC, MP3, Ogg, M4A)."""

from __future__ import annotations

from seatrial.prove.validate.audio.sound import read_sound
from seatrial.prove.validate.check import Check, Passed, Subject


def _run(subject: Subject) -> Passed:
    sound = subject.once(read_sound)
    measured = {
        "format": sound.format,
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "seconds": round(sound.seconds, 3),
    }
    return Passed(f"{sound.format.upper()}, {sound.seconds:.2f} s at {sound.sample_rate} Hz", measured)


CHECK = Check(
    "audio.whole",
    _run,
    "close the encoder before the file is read, so that it writes its last frame and its lengths; copy it after that",
    needs=("file.exists", "file.size"),
)
