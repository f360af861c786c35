"""MP3: frames one after another to the end of the file (ISO/IEC 11172-3, 13818-3; ID3v2.4; Xing and LAME headers)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from seatrial.prove.limits import MPEG_FRAMES_MAX
from seatrial.prove.validate.containers.damage import Damaged

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by version
_KBITS = {
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # by whether it is version 1, and the layer's code
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")  # what may follow the last frame
ID3_BYTES = 10


@dataclass(frozen=True, slots=True)
class Mpeg:
    """An MP3's frames."""

    sample_rate: int
    channels: int
    frames: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Frame:
    size_bytes: int
    samples: int
    sample_rate: int
    channels: int
    side_bytes: int  # after which an encoder's own header would begin


def read_mpeg(stream: BinaryIO, size_bytes: int) -> Mpeg:
    """Walk the frames from the first to the end.

    Raises:
        Damaged: no frame, something else between frames, an end inside a frame, fewer frames than the encoder counted.
    """
    at = _after_id3(stream)
    first, told, frames, samples = None, None, 0, 0
    while at < size_bytes and frames < MPEG_FRAMES_MAX:
        stream.seek(at)
        head = stream.read(4)
        if head.startswith(_TAGS) or (frames and not head.strip(b"\0")):
            break
        frame = _frame(head)
        if frame is None:
            raise Damaged(f"no frame begins at byte {at:,}, after {frames:,} frames", offset=at)
        if at + frame.size_bytes > size_bytes:
            missing = at + frame.size_bytes - size_bytes
            raise Damaged(
                f"the file ends inside frame {frames:,}: {missing} of {frame.size_bytes} bytes are missing",
                missing_bytes=missing,
            )
        if first is None:
            first, told = frame, _told_frames(stream, at, frame)
            at += frame.size_bytes
            if told is not None:
                continue  # the encoder's header is a frame without sound
        else:
            at += frame.size_bytes
        frames, samples = frames + 1, samples + frame.samples
    if first is None or not frames:
        raise Damaged("there is no frame of sound in it")
    if told is not None and frames < told:
        raise Damaged(f"the encoder counted {told:,} frames, {frames:,} are there", missing=told - frames)
    return Mpeg(first.sample_rate, first.channels, frames, samples / first.sample_rate)


def _after_id3(stream: BinaryIO) -> int:
    head = stream.read(ID3_BYTES)
    if head[:3] != b"ID3" or len(head) < ID3_BYTES:
        return 0
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return ID3_BYTES + size + (ID3_BYTES if head[5] & 0x10 else 0)


def _frame(head: bytes) -> _Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate_code, bits_code, mono = head[2] >> 2 & 3, head[2] >> 4, head[3] >> 6 == 3
    if version == 1 or layer == 0 or rate_code == 3 or not 0 < bits_code < 15:
        return None
    rate = _RATES[version][rate_code]
    bits = _KBITS[version == 3, layer][bits_code - 1] * 1000
    padding = head[2] >> 1 & 1
    if layer == 3:
        size, samples = (12 * bits // rate + padding) * 4, 384
    else:
        samples = 576 if layer == 1 and version != 3 else 1152
        size = samples // 8 * bits // rate + padding
    side = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[version == 3, mono]
    return _Frame(size, samples, rate, 1 if mono else 2, side)


def _told_frames(stream: BinaryIO, at: int, frame: _Frame) -> int | None:
    """How many frames follow, by the Xing, Info or VBRI header; None without one."""
    stream.seek(at)
    data = stream.read(min(frame.size_bytes, 64))
    own = 4 + frame.side_bytes
    if data[own : own + 4] in (b"Xing", b"Info"):
        counted = data[own + 7] & 1 if len(data) > own + 7 else 0
        return int.from_bytes(data[own + 8 : own + 12], "big") if counted else 0
    if data[36:40] == b"VBRI":
        return int.from_bytes(data[50:54], "big")
    return None
