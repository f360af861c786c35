"""What commands print: JSON, tables and passing notes. Rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def print_json(value: Any) -> None:
    """A document for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Something that passes: on standard error, so that the output stays clean."""
    print(text, file=sys.stderr, flush=True)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """Rows under heads; `empty` when there are none."""
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    if not cells:
        note(empty)
    elif sys.stdout.isatty():
        _rich_table(heads, cells)
    else:
        for row in [[head.upper() for head in heads], *cells]:
            print("\t".join(row))


def one_line(text: str) -> str:
    """A text of several lines as one."""
    return " ".join(text.split())


def print_facts(facts: Sequence[tuple[str, Any]]) -> None:
    """Names and values, one a line; those without a value are left out."""
    shown = [(name, str(value)) for name, value in facts if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name.ljust(width)}  {value}")


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner on a terminal; one line elsewhere."""
    if not sys.stderr.isatty():
        note(text)
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


@contextmanager
def bytes_bar(text: str, size_bytes: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, one line elsewhere; tell it how many more bytes have come."""
    if not sys.stderr.isatty():
        note(f"{text} ({size_bytes:,} bytes)")
        yield lambda more: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(text, total=size_bytes)
        yield lambda more: bar.advance(task, more)


def _rich_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    # Folded, never cut: what a cell ends with may be what is to be pasted.
    table = Table(*(Column(head, overflow="fold") for head in heads), box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
