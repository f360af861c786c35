"""System calls of a process and its threads, as strace(1) wrote them down, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = "openat,mkdir,write,pwrite64,writev,pwritev,sendto,sendmsg,fsync,fdatasync"
TEXT_BYTES = 5_000  # of each buffer: a page of the database and its frame's header fit
WRITES = {"write", "pwrite64", "writev", "pwritev", "sendto", "sendmsg"}
SYNCS = {"fsync", "fdatasync"}

_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_BEGUN = re.compile(r"(?P<name>\w+)\((?P<text>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<text>.*)")
_UNFINISHED = " <unfinished ...>"
_FILE = re.compile(r"\d+<(?P<path>[^>]*)>")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: `begun` and `ended` are places in the trace, so they tell what came before what."""

    name: str
    text: str
    begun: int
    ended: int

    @property
    def path(self) -> str:
        """The file that its first descriptor is, as the kernel names it."""
        found = _FILE.match(self.text)
        return found["path"] if found else ""

    @property
    def failed(self) -> bool:
        return " = -1 " in self.text[-120:]


def command(target: Path, traced: Sequence[str]) -> list[str]:
    """What runs `traced` under strace; the process that is started is the traced one itself."""
    options = ["-D", "-f", "-y", "-q", "--seccomp-bpf", "-s", str(TEXT_BYTES), "-e", f"trace={CALLS}"]
    return ["strace", *options, "-e", "signal=none", "-o", str(target), *traced]


def read(file: Path) -> list[Call]:
    """All calls that ended, by their beginning."""
    with file.open(encoding="latin-1") as lines:
        return sorted(_calls(lines), key=lambda call: call.begun)


def _calls(lines: Iterable[str]) -> Iterator[Call]:
    open_calls: dict[str, tuple[str, str, int]] = {}
    for number, line in enumerate(lines):
        found = _LINE.match(line)
        if found is None:
            continue
        thread, rest = found["thread"], found["rest"]
        if resumed := _RESUMED.match(rest):
            if thread in open_calls:
                name, text, begun = open_calls.pop(thread)
                yield Call(name, text + resumed["text"], begun, number)
        elif begun_call := _BEGUN.match(rest):
            text = begun_call["text"]
            if text.endswith(_UNFINISHED):
                open_calls[thread] = (begun_call["name"], text.removesuffix(_UNFINISHED), number)
            else:
                yield Call(begun_call["name"], text, number, number)
