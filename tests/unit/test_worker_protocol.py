"""Frames: what is encoded is decoded, however it is cut, and nothing beyond the limits."""

import json
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.adapters.processes.permits import Permits as ServersPermits
from seatrial.worker import protocol
from seatrial.worker.permits import Permits as WorkersPermits

TEXT = st.text(max_size=20)
HEADERS = st.builds(lambda extra, kind: {**extra, "type": kind}, st.dictionaries(TEXT, TEXT, max_size=3), TEXT).filter(
    lambda header: "segments" not in header
)
FRAMES = st.lists(st.tuples(HEADERS, st.lists(st.binary(max_size=50), max_size=4)), max_size=5)


@given(FRAMES, st.integers(1, 60))
def test_frames_survive_any_cut(frames: list[tuple[dict[str, str], list[bytes]]], step: int) -> None:
    wire = b"".join(protocol.encode(header, segments) for header, segments in frames)
    decoder = protocol.Decoder()
    got = [frame for at in range(0, len(wire), step) for frame in decoder.feed(wire[at : at + step])]
    assert [segments for _, segments in got] == [segments for _, segments in frames]
    for (told, segments), (header, _) in zip(got, frames, strict=True):
        assert told == ({**header, "segments": [len(one) for one in segments]} if segments else header)


def _frame(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (struct.pack(">I", protocol.HEADER_BYTES_MAX + 1), "header of"),
        (b"\x00\x00\x00\x02{{", "not JSON"),
        (b"\x00\x00\x00\x02\xff\xff", "not JSON"),
        (_frame([]), "not an object"),
        (_frame({"type": 1}), "not an object"),
        (_frame({"type": "done", "segments": 3}), "segments"),
        (_frame({"type": "done", "segments": [-1]}), "segments"),
        (_frame({"type": "done", "segments": [True]}), "segments"),
        (_frame({"type": "done", "segments": [protocol.SEGMENT_BYTES_MAX + 1]}), "segments"),
        (_frame({"type": "done", "segments": [0] * (protocol.SEGMENTS_MAX + 1)}), "segments"),
        (struct.pack(">I", 200_000) + b"[" * 200_000, "header"),
    ],
)
def test_rubbish_is_refused(wire: bytes, said: str) -> None:
    with pytest.raises(protocol.Malformed, match=said):
        protocol.Decoder().feed(wire)


def test_what_comes_before_rubbish_counts() -> None:
    decoder = protocol.Decoder()
    assert decoder.feed(protocol.encode({"type": "begun"}) + b"\xff" * 9) == [({"type": "begun"}, [])]
    with pytest.raises(protocol.Malformed):
        decoder.feed(b"")


def test_every_message_is_on_the_page(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs" / "reference" / "pipe-protocol.md").read_text()
    for message in ("load", "work", "loading", "loaded", "load_failed", "begun", "done", "failed", "listens"):
        assert f"### `{message}`" in page
        assert getattr(protocol, message.upper()) == message


def test_work_is_begun_or_taken_back_never_both() -> None:
    """Both ends of the permits in this process: the worker comes to works 1 to 9 in turn."""
    server = ServersPermits()
    worker = WorkersPermits(os.dup(server.workers_end))
    for number in (1, 2, 3):
        server.give(number)
    server.flush()
    assert worker.take(1)
    assert server.take_back() == [2, 3]
    assert not worker.take(2)
    for number in (4, 5):
        server.give(number)
    server.flush()
    assert not worker.take(3), "the next permit is for another"
    assert server.take_back() == [5], "the worker has that of 4 in hand"
    assert worker.take(4)
    assert not worker.take(5)
    assert server.take_back() == []
    server.give(7)  # the files of 6 could not be written: it was never sent
    server.flush()
    assert worker.take(7)
    worker.close()
    server.close()


@given(st.lists(st.sampled_from(["send", "begin", "take back"]), max_size=60))
def test_each_work_has_one_taker(steps: list[str]) -> None:
    server = ServersPermits()
    worker = WorkersPermits(os.dup(server.workers_end))
    sent, waiting, begun, back = 0, [], [], []
    for step in steps:
        if step == "send":
            sent += 1
            server.give(sent)
            server.flush()
            waiting.append(sent)
        elif step == "take back":
            back += server.take_back()
        elif waiting:
            number = waiting.pop(0)
            begun += [number] if worker.take(number) else []
    begun += [number for number in waiting if worker.take(number)]
    assert sorted(begun + back) == list(range(1, sent + 1))
    worker.close()
    server.close()
