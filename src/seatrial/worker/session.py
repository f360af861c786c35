"""The other processes of this session: who they are, what they hold, where they listen."""

from __future__ import annotations

import os
import socket
import struct
from typing import Iterator, List, Optional, Set, Tuple  # noqa: UP035  (Python 3.9)

# ruff: noqa: UP006, UP045  (Python 3.9)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LISTENS = "0A"  # proc(5), /proc/net/tcp: the state of a socket that waits for connections
_marks: List[str] = []
_TABLES = (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6))


def started_at() -> float:
    """When this process was started, in seconds since the machine was."""
    fields = _read("/proc/self/stat").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def follow(variable: str) -> None:
    """From now on those belong to it too that have this one's value of a variable: a container's, say."""
    _marks.append(f"{variable}={os.environ.get(variable, '')}")


def others() -> List[int]:
    """Process ids of this session's other members, also of those that lost their parent on the way."""
    session, own = os.getsid(0), os.getpid()
    everyone = map(int, filter(str.isdigit, os.listdir("/proc")))
    return [pid for pid in everyone if pid != own and (_session(pid) == session or _is_marked(pid))]


def memory_bytes() -> int:
    """What they have resident; pages that they share count for each."""
    return sum(map(_resident_bytes, others()))


def listening() -> List[Tuple[str, int]]:
    """Addresses and ports at which they wait for connections."""
    own = {inode for pid in others() for inode in _sockets(pid)}
    return sorted({(address, port) for inode, address, port in _listeners() if inode in own})


def _session(pid: int) -> Optional[int]:
    try:
        return os.getsid(pid)
    except OSError:
        return None  # gone meanwhile


def _is_marked(pid: int) -> bool:
    return bool(_marks) and not set(_marks).isdisjoint(_read(f"/proc/{pid}/environ").split("\0"))


def _resident_bytes(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def _sockets(pid: int) -> Set[int]:
    found: Set[int] = set()
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        inode = _socket_inode(f"{folder}/{name}")
        if inode is not None:
            found.add(inode)
    return found


def _socket_inode(link: str) -> Optional[int]:
    try:
        target = os.readlink(link)
    except OSError:
        return None
    return int(target[8:-1]) if target.startswith("socket:[") else None


def _listeners() -> Iterator[Tuple[int, str, int]]:
    for table, family in _TABLES:
        for line in _read(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS:
                address, _, port = fields[1].partition(":")
                yield int(fields[9]), _address(address, family), int(port, 16)


def _address(words: str, family: int) -> str:
    """Words of four bytes in the machine's order."""
    packed = b"".join(struct.pack("=I", int(words[start : start + 8], 16)) for start in range(0, len(words), 8))
    return socket.inet_ntop(family, packed)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
