"""Lines of log on SQLite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from seatrial.adapters.sql.log_store import SqlLogStore
from seatrial.domain.limits import LOG_LINE_BYTES_MAX
from seatrial.domain.logs import LogFilter, LogLine, LogStream


async def reopened(store: SqlLogStore, path: Path) -> SqlLogStore:
    """Closing writes everything that waits, so what is read afterwards is all there is."""
    await store.close()
    return await SqlLogStore.open(path)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.sqlite"


def line(text: str, stream: str = "w1", at_ms: int = 10, group: str = "g", job_id: str | None = None) -> LogLine:
    return LogLine(group, stream, at_ms, text, job_id)


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlLogStore]:
    store = await SqlLogStore.open(path)
    store.append([line("one", job_id="j1"), line("Two", at_ms=20), line("three", "w2", 30, job_id="j1")])
    store.append([line("other", "x", 40, group="h"), line("four%", "v", 5)])
    store = await reopened(store, path)
    yield store
    await store.close()


async def texts(store: SqlLogStore, group: str = "g", **which: object) -> list[str]:
    return [one.text for one in await store.lines(LogFilter(group, **which))]


async def test_lines_come_oldest_first_and_page(store: SqlLogStore) -> None:
    page = await store.lines(LogFilter("g", limit=2))
    assert [(one.text, one.stream, one.at_ms, one.job_id) for one in page] == [
        ("one", "w1", 10, "j1"),
        ("Two", "w1", 20, None),
    ]
    assert await texts(store, after_id=page[-1].id) == ["three", "four%"]
    assert await texts(store, "unknown") == []


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({"streams": frozenset({"w2", "v"})}, ["three", "four%"]),
        ({"stream_prefix": "w"}, ["one", "Two", "three"]),
        ({"stream_prefix": "W"}, []),
        ({"since_ms": 10, "until_ms": 20}, ["one", "Two"]),
        ({"job_id": "j1"}, ["one", "three"]),
        ({"contains": "o"}, ["one", "Two", "four%"]),
        ({"contains": "%"}, ["four%"]),
        ({"contains": "two"}, []),
    ],
)
async def test_filters(store: SqlLogStore, which: dict[str, object], expected: list[str]) -> None:
    assert await texts(store, **which) == expected


async def test_groups_and_streams(store: SqlLogStore) -> None:
    assert await store.groups() == ["g", "h"]
    assert await store.streams("g") == [
        LogStream("g", "v", 5, 5),
        LogStream("g", "w1", 10, 20),
        LogStream("g", "w2", 30, 30),
    ]
    assert await store.streams("unknown") == []


async def test_a_long_line_is_cut_and_says_so(store: SqlLogStore, path: Path) -> None:
    store.append([line("ä" * LOG_LINE_BYTES_MAX, group="long"), line("\ud800", group="long")])
    store = await reopened(store, path)
    long, odd = await texts(store, "long")
    assert long.startswith("ä" * (LOG_LINE_BYTES_MAX // 2) + "…")
    assert str(2 * LOG_LINE_BYTES_MAX) in long
    assert len(long) < LOG_LINE_BYTES_MAX
    assert odd == "?"
    await store.close()


async def test_the_newest_lines_of_a_group_are_kept(path: Path) -> None:
    store = await SqlLogStore.open(path, lines_per_group_max=10)
    store.append([line("quiet", group="h")])
    for start in range(0, 100, 5):
        store.append([line(str(number), stream=f"w{start}") for number in range(start, start + 5)])
    store = await reopened(store, path)
    kept = await texts(store)
    assert 10 <= len(kept) <= 11
    assert kept == [str(number) for number in range(100)][-len(kept) :]
    assert {stream.name for stream in await store.streams("g")} <= {"w85", "w90", "w95"}
    assert await texts(store, "h") == ["quiet"]
    await store.close()


async def test_too_many_at_once_are_dropped_and_counted(path: Path) -> None:
    store = await SqlLogStore.open(path, lines_waiting_max=5)
    store.append([line(str(number)) for number in range(12)])
    store = await reopened(store, path)
    found = await store.lines(LogFilter("g"))
    assert [one.text for one in found[:5]] == ["0", "1", "2", "3", "4"]
    assert found[5].stream == "seatrial"
    assert found[5].text.startswith("7 lines were dropped")
    assert len(found) == 6
    await store.close()


async def test_lines_become_readable_while_the_store_is_open(store: SqlLogStore) -> None:
    store.append([line("live", group="live")])
    while not await texts(store, "live"):
        pass
    assert await texts(store, "live") == ["live"]


async def test_ids_only_grow(store: SqlLogStore, path: Path) -> None:
    before = max(one.id or 0 for one in await store.lines(LogFilter("g")))
    store.append([line("later")])
    store = await reopened(store, path)
    (later,) = await store.lines(LogFilter("g", after_id=before))
    assert later.text == "later"
    await store.close()
