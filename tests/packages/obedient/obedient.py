"""Does what it is told, so that a test can bring about what happens in the field."""

import ctypes  # noqa: F401  what a request may want to use
import hashlib  # noqa: F401
import os
import re  # noqa: F401
import signal  # noqa: F401
import socket
import subprocess
import sys
import threading  # noqa: F401
import time  # noqa: F401


class OwnError(Exception):
    error_type = "too_dark"


def fail(error):
    raise error


def gate(port):
    """Say that one is here, wait until the test lets go, and return what it said."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        return connection.makefile().read()


def child():
    """A process that outlives the request."""
    process = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    return process.pid


def daemon():
    """One that has left the process group and lost its parent."""
    source = "import os, threading\nif os.fork(): os._exit(0)\nos.setsid(); print(os.getpid(), flush=True)\n"
    source += "os.close(1); threading.Event().wait()"
    return int(subprocess.run([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True).stdout)


class Obedient:
    def __init__(self):
        exec(os.environ.get("WHILE_LOADING", ""), globals())

    def do(self, code: str):
        return {"value": eval(code, globals())}
