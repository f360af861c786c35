"""Run by the server's interpreter just before the user's: `python jail.py PLAN`, PLAN being JSON.

Puts the process into its own session, has it killed when the server dies, and gives it its own view of the file
system: the folders at fixed paths that SageMaker and Lambda handlers expect, a private /tmp, and of the server's data
only what is this worker's. Nothing that the host sees is touched: folders that the host does not have are made on a
tmpfs that covers their parent inside the private mount namespace. What could undo all that is given up.

PLAN: `server_pid`, `isolated`, `own_network` (nothing but a loopback of its own), `hidden` [folders], `read_only` and
`writable` [folders or files that stay visible below /tmp and the hidden folders], `tmp` (what becomes /tmp), `root`
(an empty folder, for a host without some top-level folder), `views` [[path, folder or file]] mounted read-only in this
order, `covered` [folders whose new files nobody else sees], `written` [[path, folder, second path]]: what is written to
the folder at the path (after the views) lies in that folder, and shows at the second path too, `run` [program,
arguments]; for somebody at a terminal also `terminal` (stay in its session) and `folder` (where to begin).
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
from typing import Any

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_RELATIME = 1 << 21
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
LOOPBACK = struct.Struct("16sH22x")  # struct ifreq, as far as it is used
PR_SET_PDEATHSIG = 1
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
# With one of these root looks behind a mount: at the server's view through /proc, or at the disk itself.
CAPABILITIES_GIVEN_UP = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_SYS_MODULE": 16,
    "CAP_SYS_RAWIO": 17,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
}
TMP = "/tmp"  # noqa: S108  the very folder that is replaced
COVER_BYTES_MAX = 64 * 1024 * 1024  # what a handler may write beside the fixed folders, in memory
FAILED_EXIT_CODE = 97

_libc = ctypes.CDLL(None, use_errno=True)


class NotIsolated(Exception):
    """The system does not allow a private view; the message says what it refused."""


def main(plan: dict[str, Any]) -> None:
    """Never returns: becomes `run`.

    Raises:
        NotIsolated: a view was asked for and cannot be had.
    """
    if os.getsid(0) != os.getpid() and not plan.get("terminal"):
        os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if plan["isolated"]:
        isolate(plan)
    elif plan["own_network"]:
        _enter_namespaces(CLONE_NEWNET)
    if plan.get("folder"):
        os.chdir(plan["folder"])
    _die_with(plan["server_pid"])  # last: the kernel forgets it when the identity changes
    program = plan["run"][0]
    try:
        os.execv(program, plan["run"])  # noqa: S606
    except OSError as error:  # it does not say which file
        raise OSError(error.errno, error.strerror, program) from None


def isolate(plan: dict[str, Any]) -> None:
    """Enter a mount namespace of our own, and arrange it."""
    _enter_namespaces(CLONE_NEWNS | CLONE_NEWNET if plan["own_network"] else CLONE_NEWNS)
    _mount("none", "/", MS_REC | MS_PRIVATE, "make the mounts private")
    kept = _Kept(plan["read_only"], plan["writable"])
    _mount(plan["tmp"], TMP, MS_BIND, "give a private")
    kept.show(TMP)
    for folder in plan["hidden"]:
        os.makedirs(folder, exist_ok=True)  # it may have gone with the shared /tmp
        _mount("tmpfs", folder, 0, "hide", "tmpfs", f"mode=0755,size={COVER_BYTES_MAX}")
        kept.show(folder)
        _make_read_only(folder)
    kept.close()
    covers = _Covers(plan["root"])
    for folder in plan["covered"]:
        covers.cover_above(f"{folder}/.")
    for path, source in plan["views"]:
        _provide(path, source, covers)
        _make_read_only(path)
    for path, folder, second in plan["written"]:
        _open_to_writing(path, folder)
        _provide(second, path, covers)
    os.chdir("/")  # from the folder before, ".." leads behind what is hidden
    _give_up_capabilities()


def _enter_namespaces(wanted: int) -> None:
    user, group = os.getuid(), os.getgid()
    flags = wanted if os.geteuid() == 0 else wanted | CLONE_NEWUSER
    if _libc.unshare(flags) != 0:
        if flags & CLONE_NEWUSER or _libc.unshare(wanted | CLONE_NEWUSER) != 0:
            raise NotIsolated(f"unshare: {os.strerror(ctypes.get_errno())} (no user, mount or network namespaces)")
        flags |= CLONE_NEWUSER  # root without the capability, as in a container
    if flags & CLONE_NEWUSER:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    if wanted & CLONE_NEWNET:
        _raise_loopback()


def _raise_loopback() -> None:
    """In a new network it is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = LOOPBACK.unpack(fcntl.ioctl(any_socket, SIOCGIFFLAGS, LOOPBACK.pack(b"lo", 0)))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, LOOPBACK.pack(b"lo", flags | IFF_UP))


class _Kept:
    """What is to stay visible, held open while folders above it are covered."""

    def __init__(self, read_only: list[str], writable: list[str]) -> None:
        self._writable = set(writable)
        self._held = {path: os.open(path, os.O_PATH) for path in {*read_only, *writable}}

    def show(self, covered: str) -> None:
        """Put back what lies in the folder, outer ones first."""
        for path, descriptor in sorted(self._held.items()):
            if not path.startswith(covered + "/"):
                continue
            if not os.path.exists(path):
                _make_place(path, descriptor)
            _bind(descriptor, path)
            if path not in self._writable:
                _make_read_only(path)

    def close(self) -> None:
        """Let go of all."""
        for descriptor in self._held.values():
            os.close(descriptor)


def _give_up_capabilities() -> None:
    for name, number in CAPABILITIES_GIVEN_UP.items():
        if _libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1 and _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            raise NotIsolated(f"prctl, to give up {name}: {os.strerror(ctypes.get_errno())}")


def _provide(path: str, source: str, covers: _Covers) -> None:
    """Show the source at the path, whether or not the path exists."""
    descriptor = os.open(source, os.O_PATH)
    if not os.path.exists(path):
        covers.cover_above(path)
        _make_place(path, descriptor)
    _bind(descriptor, path)
    os.close(descriptor)


def _open_to_writing(path: str, folder: str) -> None:
    """New files at the path lie in the folder; what is at the path already stays as it is, and read-only."""
    os.makedirs(folder, exist_ok=True)
    before = os.open(path, os.O_PATH)
    _mount(folder, path, MS_BIND, "open to writing")
    _show_children(f"/proc/self/fd/{before}", path)
    os.close(before)


class _Covers:
    """Each is a tmpfs over a folder, on which everything that was in the folder is still there."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._devices: set[int] = set()

    def cover_above(self, path: str) -> None:
        """See to it that the path can be made without the host seeing it."""
        folder = os.path.dirname(path)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        if os.stat(folder).st_dev in self._devices:
            return
        where = folder if folder != "/" else self._root
        before = os.open(folder, os.O_PATH)
        _mount("tmpfs", where, 0, "cover", "tmpfs", f"mode=0755,size={COVER_BYTES_MAX}")
        _show_children(f"/proc/self/fd/{before}", where)
        os.close(before)
        self._devices.add(os.stat(where).st_dev)
        if folder == "/":
            os.chroot(where)
            os.chdir("/")


def _show_children(before: str, where: str) -> None:
    for name in os.listdir(before):
        old, new = os.path.join(before, name), os.path.join(where, name)
        kind = os.lstat(old).st_mode
        if stat.S_ISLNK(kind):
            if not os.path.lexists(new):
                os.symlink(os.readlink(old), new)
            continue
        if stat.S_ISDIR(kind):
            os.makedirs(new, exist_ok=True)
        else:
            _make_empty_file(new)
        _mount(old, new, MS_BIND | MS_REC, "show")


def _make_place(path: str, source: int) -> None:
    """Something of the same kind as the source, to mount it on."""
    is_folder = stat.S_ISDIR(os.fstat(source).st_mode)
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder:
        _make_empty_file(path)


def _make_empty_file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _bind(source: int, path: str) -> None:
    _mount(f"/proc/self/fd/{source}", path, MS_BIND | MS_REC, "show")


def _make_read_only(path: str) -> None:
    flags = os.statvfs(path).f_flag
    kept = MS_NOSUID | MS_NODEV | MS_NOEXEC  # these have the same bits in statvfs
    locked = flags & kept
    locked |= MS_NOATIME if flags & os.ST_NOATIME else 0
    locked |= MS_NODIRATIME if flags & os.ST_NODIRATIME else 0
    locked |= MS_RELATIME if flags & os.ST_RELATIME else 0
    _mount("none", path, MS_BIND | MS_REMOUNT | MS_RDONLY | locked, "make read-only")


def _mount(source: str, target: str, flags: int, what: str, kind: str = "none", options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    if _libc.mount(*arguments) != 0:
        raise NotIsolated(f"mount, to {what} {target}: {os.strerror(ctypes.get_errno())}")


def _die_with(server_pid: int) -> None:
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != server_pid:  # it died before
        os._exit(FAILED_EXIT_CODE)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except (OSError, NotIsolated) as error:
        print(f"seatrial: cannot start the worker: {error}", file=sys.stderr)
        sys.exit(FAILED_EXIT_CODE)
