"""Chunks at hand are bounded, for one job and for all; what does not fit comes with the result."""

import pytest

from seatrial.engine import streams as module
from seatrial.engine.streams import Streams


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAM_WAITING_BYTES_MAX", 4)
    monkeypatch.setattr(module, "STREAMS_WAITING_BYTES_MAX", 6)
    monkeypatch.setattr(module, "STREAMS_KEPT_MAX", 3)


def test_a_job_whose_chunks_do_not_fit_gets_the_rest_with_its_result() -> None:
    streams = Streams()
    for chunk in (b"11", b"22", b"3", b""):
        streams.chunk("a", chunk)
    assert streams.fetch("a") == [b"11", b"22"]
    streams.chunk("a", b"4")
    assert streams.fetch("a") == []
    assert streams.fetch_rest("a", [b"11", b"22", b"3", b"", b"4"]) == [b"3", b"", b"4"]


def test_all_jobs_share_a_bound_and_what_is_fetched_makes_room() -> None:
    streams = Streams()
    streams.chunk("a", b"1111")
    streams.chunk("b", b"22")
    streams.chunk("c", b"3")
    assert streams.fetch("c") == []
    assert streams.fetch_rest("c", [b"3"]) == [b"3"]
    assert streams.fetch("a") == [b"1111"]
    streams.chunk("b", b"22")
    assert streams.fetch("b") == [b"22", b"22"]


def test_a_job_that_is_forgotten_or_begins_again_makes_room_too() -> None:
    streams = Streams()
    streams.chunk("a", b"1111")
    streams.begin("a")
    streams.chunk("b", b"2222")
    for later in ("c", "d", "e"):
        streams.chunk(later, b"")
    streams.chunk("f", b"6666")
    assert streams.fetch("f") == [b"6666"]


def test_an_attempt_does_not_tell_twice_what_the_client_has() -> None:
    streams = Streams()
    streams.chunk("a", b"1")
    assert streams.fetch("a") == [b"1"]
    streams.begin("a")
    for chunk in (b"1", b"2"):
        streams.chunk("a", chunk)
    assert streams.fetch("a") == [b"2"]
