"""SIGTERM: the server stops taking, finishes or hands back what runs, and leaves no process behind."""

from __future__ import annotations

from pathlib import Path


def processes_of(data: Path) -> list[str]:
    """Command lines of every process that has the data folder in its environment or command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(data).encode() in words and "pytest" not in command:
            found.append(command)
    return found


def test_no_process_is_left_behind(server, package):
    server.cli("deploy", str(package("echo")), "--name", "echo", "--workers", "2")
    assert any("worker" in one for one in processes_of(server.data))

    assert server.terminate() == 0

    assert processes_of(server.data) == []


def test_a_second_server_on_the_same_folder_is_refused(server):
    done = server.cli("serve", "--data", str(server.data), "--port", "0", check=False)
    assert done.returncode == 1
    assert str(server.process.pid) in done.stderr
