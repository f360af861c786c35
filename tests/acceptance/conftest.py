"""The native API as a client of few words, for stories about what happens to endpoints and jobs."""

from __future__ import annotations

import io
import json
import socket
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

PACKAGES = Path(__file__).resolve().parents[1] / "packages"
PATIENCE_SECONDS = 60
Package = str | Mapping[str, str]


class Api:
    """Talks to one server. A package is the name of one of tests/packages, or its files."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.http = self._client()

    def _client(self) -> httpx.Client:
        key = {"Authorization": f"Bearer {self.server.variables['SEATRIAL_API_KEY']}"}
        return httpx.Client(base_url=self.server.url, headers=key, timeout=75, trust_env=False)

    def reconnect(self) -> None:
        """The server was started again."""
        self.http.close()
        self.http = self._client()

    # --- endpoints

    def put(self, name: str, package: Package, method: str = "PUT", **settings: Any) -> httpx.Response:
        files = {"package": ("package.tar.gz", packed(package), "application/gzip")}
        return self.http.request(method, f"/v1/endpoints/{name}", files=files, data={"settings": json.dumps(settings)})

    def begin(self, name: str, package: Package, **settings: Any) -> dict[str, Any]:
        """Order a deployment or an update; the endpoint as it is at once."""
        answer = self.put(name, package, **settings)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def deploy(self, name: str, package: Package, **settings: Any) -> dict[str, Any]:
        """The endpoint once its trial has ended, either way."""
        self.begin(name, package, **settings)
        return self.settled(name)

    def serve(self, name: str, package: Package = "obedient", **settings: Any) -> dict[str, Any]:
        """The endpoint in service."""
        endpoint = self.deploy(name, package, **settings)
        assert endpoint["status"] == "InService", endpoint["failure_reason"]
        return endpoint

    def endpoint(self, name: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/endpoints/{name}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def settled(self, name: str) -> dict[str, Any]:
        return self.until(name, lambda one: one["status"] in ("InService", "Failed"))

    def until(self, name: str, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Long polls, one after every change."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        endpoint = self.endpoint(name)
        while not is_it(endpoint):
            assert time.monotonic() < give_up, endpoint
            answer = self.http.get(f"/v1/endpoints/{name}", params={"wait": 5, "since": endpoint["change"]})
            endpoint = answer.json()
        return endpoint

    def delete(self, name: str) -> None:
        """Gone when this returns."""
        assert self.http.delete(f"/v1/endpoints/{name}").status_code == 202
        give_up = time.monotonic() + PATIENCE_SECONDS
        while self.http.get(f"/v1/endpoints/{name}", params={"wait": 5}).status_code != 404:
            assert time.monotonic() < give_up

    # --- jobs

    def post(self, name: str, body: Any, **options: Any) -> httpx.Response:
        return self.http.post(f"/v1/endpoints/{name}/jobs", json=body, params=options)

    def submit(self, name: str, code: str = "1", **options: Any) -> str:
        answer = self.post(name, {"code": code}, **options)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str, wait: int = 0) -> dict[str, Any]:
        answer = self.http.get(f"/v1/jobs/{job_id}", params={"wait": wait})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ended(self, job_id: str) -> dict[str, Any]:
        job = self.job(job_id, wait=30)
        assert job["ended_at"], job
        return job

    def value(self, job_id: str) -> Any:
        answer = self.http.get(f"/v1/jobs/{job_id}/result", params={"wait": 30})
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def run(self, name: str, code: str = "1", **options: Any) -> Any:
        """The value of an expression, worked out by a worker of the endpoint."""
        return self.value(self.submit(name, code, **options))

    def published(self, job: Mapping[str, Any]) -> list[str]:
        """Which of its two names an S3 client sees."""
        s3 = self.server.client("s3")
        found = []
        for word in ("result", "failure"):
            bucket, key = job[word].removeprefix("s3://").split("/", 1)
            listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)
            found += [word for one in listed.get("Contents", []) if one["Key"] == key]
        return found

    def object(self, uri: str) -> bytes:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return bytes(self.server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def lines(self, name: str) -> list[str]:
        return [line["text"] for line in self.http.get(f"/v1/endpoints/{name}/logs").json()["lines"]]


class Gate:
    """Holds a handler of the obedient package at `gate(port)`: `reached` returns once one is there."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_SECONDS)
        self._held: socket.socket | None = None

    @property
    def code(self) -> str:
        return f"gate({self.port})"

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def reached(self) -> None:
        self.open()
        while self._held is None:
            held, _ = self._listener.accept()
            held.setblocking(False)
            try:
                gone = held.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                gone = False
            if gone:  # its process was killed before it came to its turn
                held.close()
            else:
                self._held = held

    def open(self, said: str = "") -> None:
        """Let the handler go on, with these words."""
        if self._held is not None:
            with self._held, suppress(ConnectionError):
                self._held.sendall(said.encode())
            self._held = None

    def close(self) -> None:
        self.open()
        self._listener.close()


def packed(package: Package) -> bytes:
    """A `.tar.gz`."""
    if isinstance(package, str):
        folder = PACKAGES / package
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
        contents = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    else:
        contents = {name: textwrap.dedent(text).encode() for name, text in package.items()}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def alive(pid: int) -> bool:
    """Whether a process of that number runs; one that waits for its parent to take note does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


@pytest.fixture
def api(shared_server: Any) -> Iterator[Api]:
    """A client of the server that the module's tests share."""
    made = Api(shared_server)
    yield made
    made.http.close()


@pytest.fixture
def own_api(server: Any) -> Iterator[Api]:
    """A client of a server that this test has for itself."""
    made = Api(server)
    yield made
    made.http.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.close()


@pytest.fixture
def make_gate() -> Iterator[Callable[[], Gate]]:
    """Further gates."""
    made: list[Gate] = []

    def make() -> Gate:
        made.append(Gate())
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def api_of() -> Iterator[Callable[[Any], Api]]:
    """A client of any server."""
    made: list[Api] = []

    def make(server: Any) -> Api:
        made.append(Api(server))
        return made[-1]

    yield make
    for api in made:
        api.http.close()


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    return alive


@pytest.fixture
def step(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str, str], Any]]:
    """Times the steps of a story, and prints them when it ends, beside what they took in the report that it replays."""
    took: list[tuple[str, float, str]] = []

    @contextmanager
    def timed(words: str, in_the_field: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        took.append((words, time.monotonic() - began, in_the_field))

    yield timed
    told = [f"  {seconds:6.1f} s  {words} (in the field: {in_the_field})" for words, seconds, in_the_field in took]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(told) + "\n")
