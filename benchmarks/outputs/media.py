"""Good and damaged sound and film, encoded by FFmpeg's libraries (PyAV)."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from benchmarks.outputs.item import Item, Maker, Random

SOUNDS = {  # name: container, codec, sample rate
    "sound.wav": ("wav", "pcm_s16le", 44_100),
    "sound.flac": ("flac", "flac", 44_100),
    "sound.mp3": ("mp3", "libmp3lame", 44_100),
    "sound.ogg": ("ogg", "libopus", 48_000),
    "sound.m4a": ("ipod", "aac", 44_100),
}
FILMS = {  # name: container, video codec, audio codec or none
    "film.mp4": ("mp4", "libx264", "aac"),
    "silent.mp4": ("mp4", "mpeg4", None),
    "film.webm": ("webm", "libvpx", "libopus"),
    "film.mkv": ("matroska", "libx264", None),
}
FRAMES_PER_SECOND = 10


def sound(random: Random, name: str) -> bytes:
    """A tone with noise, one or two channels."""
    container, codec, rate = SOUNDS[name]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate)
        _sing(random, output, stream, random.uniform(0.3, 2.0))
    return file.getvalue()


def film(random: Random, name: str) -> bytes:
    """A square that moves over a gradient, with or without sound, the index before or behind."""
    container, video, audio = FILMS[name]
    options = {"movflags": "faststart"} if container == "mp4" and random.random() < 0.5 else {}
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        _record(random, path, container, video, audio, options)
        return path.read_bytes()


def _record(random: Random, path: Path, container: str, video: str, audio: str | None, options: dict[str, str]) -> None:
    with av.open(str(path), "w", format=container, options=options) as output:
        stream: Any = output.add_stream(video, rate=FRAMES_PER_SECOND)
        stream.width, stream.height = (int(side) * 16 for side in random.integers(4, 12, 2))
        stream.pix_fmt = "yuv420p"
        speaker: Any = output.add_stream(audio, rate=48_000) if audio else None
        _show(random, output, stream, frames=int(random.integers(5, 25)))
        if speaker is not None:
            _sing(random, output, speaker, 1.0)


def _show(random: Random, output: Any, stream: Any, frames: int) -> None:
    ground = np.zeros((stream.height, stream.width, 3), np.uint8)
    ground[..., 0] = np.linspace(0, 255, stream.width)
    ground[..., 2] = random.integers(0, 256)
    for number in range(frames):
        pixels = ground.copy()
        top = number * 3 % (stream.height - 16)
        pixels[top : top + 16, 8:40, 1] = 220
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _sing(random: Random, output: Any, stream: Any, seconds: float) -> None:
    rate, channels = stream.rate, int(random.integers(1, 3))
    times = np.arange(int(rate * seconds)) / rate
    tone = 8000 * np.sin(2 * np.pi * random.uniform(100, 2000) * times) + random.normal(0, 300, len(times))
    frame = av.AudioFrame.from_ndarray(
        np.repeat(tone.astype("<i2"), channels)[None], format="s16", layout="stereo" if channels == 2 else "mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    shaper = AudioResampler(stream.format, stream.layout, rate, frame_size=stream.frame_size or 1024)
    for piece in [*shaper.resample(frame), *shaper.resample(None)]:
        output.mux(stream.encode(piece))
    output.mux(stream.encode(None))


def _good(name: str) -> Maker:
    def make(random: Random) -> Item:
        data = (sound if name in SOUNDS else film)(random, name)
        return Item(name, "audio" if name in SOUNDS else "video", data, name)

    return make


def _cut(name: str) -> Maker:
    """The file ends at any byte."""

    def make(random: Random) -> Item:
        whole = _good(name)(random)
        return replace(whole, data=whole.data[: int(random.integers(1, len(whole.data)))], damage="cut at a byte")

    return make


def header_lost(random: Random) -> Item:
    """The first bytes are zeros."""
    name = str(random.choice([*SOUNDS, *FILMS]))
    whole = _good(name)(random)
    return replace(whole, data=bytes(64) + whole.data[64:], damage="header lost")


def too_long_or_short(random: Random) -> Item:
    """Not of the expected length."""
    whole = _good("sound.wav")(random)
    audio = replace(whole.profile.audio, seconds_min=5.0) if random.random() < 0.5 else None
    audio = audio or replace(whole.profile.audio, sample_rate=16_000)
    return replace(whole, profile=replace(whole.profile, audio=audio), damage="off its profile")


def zeroed_tail(random: Random) -> Item:
    """Of the right length, but the end was never written."""
    whole = _good(str(random.choice(["sound.flac", "sound.ogg"])))(random)
    kept = int(random.integers(len(whole.data) // 4, int(len(whole.data) * 0.9)))
    return replace(whole, data=whole.data[:kept].ljust(len(whole.data), b"\0"), damage="tail of zeros")


def no_media(random: Random) -> Item:
    """Something else under the name."""
    name = str(random.choice([*SOUNDS, *FILMS]))
    data = b'{"error": "out of memory"}' if random.random() < 0.5 else b""
    return Item(name, "audio" if name in SOUNDS else "video", data, name, "no media")


GOOD: dict[str, Maker] = {name: _good(name) for name in (*SOUNDS, *FILMS)}
DAMAGED: dict[str, Maker] = {
    **{f"cut at a byte, {name}": _cut(name) for name in (*SOUNDS, *FILMS)},
    "header lost": header_lost,
    "off its profile": too_long_or_short,
    "tail of zeros": zeroed_tail,
    "no media": no_media,
}
