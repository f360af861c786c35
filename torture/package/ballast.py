"""A handler whose every answer follows from the number that it is given, so that others can check it."""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time


def filling(number: int, size: int, what: str) -> str:
    """`size` characters that belong to this number and to nothing else."""
    word = hashlib.sha256(f"{what} {number}".encode()).hexdigest()
    return (word * (size // len(word) + 1))[:size]


def wait_at(port: int) -> None:
    """Say that one is here, and wait until the other side lets go; it is not there any more when this is run again."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.makefile().read()


class Ballast:
    """Holds nothing; `weigh` is its one task."""

    def weigh(
        self,
        number: int,
        size: int = 64,
        part_size: int = 0,
        seconds: float = 0.0,
        act: str = "answer",
        padding: str = "",
        port: int = 0,
    ) -> dict[str, object]:
        if port:
            wait_at(port)
        time.sleep(seconds)
        if act == "fail":
            raise ValueError(f"number {number} was told to fail")
        if act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if act == "leave a child":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
        answer: dict[str, object] = {"number": number, "text": filling(number, size, "text")}
        if part_size:
            answer["cargo"] = filling(number, part_size, "cargo").encode()
        return answer
