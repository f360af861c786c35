"""The server that a command talks to, over HTTP."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn
from urllib.parse import quote

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.screen import one_line
from seatrial.domain.errors import UNKNOWN_TASK

if TYPE_CHECKING:
    import httpx

ANSWER_SECONDS = 30.0
LONG_POLL_SECONDS = 30
PUT_SECONDS = 3600.0
RESEND_PAUSES_SECONDS = (0.5, 2.0, 5.0)
DEFAULT_DATA = "seatrial-data"
Bar = Callable[[int], AbstractContextManager[Callable[[int], None]]]  # size in bytes -> tell how many more have come
ENV_REMEDY = 'eval "$(seatrial env --data DIR)" sets all of them'


class Refused(Exception):
    """The server said no; `problem` is its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or f"HTTP {status}"))
        self.status = status
        self.problem = problem


class Server:
    """A connection; its calls end the command with a fitting exit code when they fail."""

    def __init__(self, url: str, api_key: str, keys: tuple[str, str, str] | None) -> None:
        """`keys`: access key id, secret access key and region, for what goes over S3's wire."""
        import httpx

        self._keys = keys
        self.api_key = api_key
        self.url = url.rstrip("/")
        timeout = httpx.Timeout(ANSWER_SECONDS, read=ANSWER_SECONDS + LONG_POLL_SECONDS)
        headers = {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def get(self, path: str, **params: Any) -> Any:
        """A JSON document. Parameters that are None are left out."""
        return self.call("GET", path, params=_given(params)).json()

    def call(self, method: str, path: str, **how: Any) -> httpx.Response:
        """An answer that is no problem; otherwise the end of the command."""
        try:
            return self.ask(method, path, **how)
        except Refused as refused:
            end(refused, how.get("params") or {})

    def submit(self, path: str, key: str | None, **how: Any) -> Any:
        """The document of an accepted job. Its key makes it safe to ask again when an answer is lost."""
        headers = {**how.pop("headers", {}), "Idempotency-Key": key or str(uuid.uuid4())}
        try:
            return self.ask("POST", path, pauses=RESEND_PAUSES_SECONDS, headers=headers, **how).json()
        except Refused as refused:
            end(refused, how.get("params") or {})

    def ask(self, method: str, path: str, *, pauses: Sequence[float] = (), **how: Any) -> httpx.Response:
        """An answer that is no problem. A request whose answer is lost is sent again after each of the pauses.

        Raises:
            Refused: the server said no. (An unreachable server ends the command.)
        """
        answer = self._answer(method, path, list(pauses), how)
        if answer.headers.get("content-type", "").startswith("application/problem+json"):
            raise Refused(answer.status_code, answer.json())
        return answer

    def _answer(self, method: str, path: str, pauses: list[float], how: Mapping[str, Any]) -> httpx.Response:
        import httpx

        while True:
            try:
                return self._client.request(method, path, **how)
            except httpx.ConnectError as error:
                self._unreachable(error)
            except httpx.TransportError as error:
                if not pauses:
                    self._unreachable(error)
                time.sleep(pauses.pop(0))

    def download(self, path: str, file: BinaryIO, wait_seconds: float, bar: Bar) -> None:
        """Write an answer's bytes into a file; `bar` shows how far that is. A part of an answer ends the command."""
        import httpx

        try:
            with self._client.stream("GET", path, timeout=httpx.Timeout(60.0, read=wait_seconds)) as answer:
                if answer.is_error:
                    answer.read()
                    end(Refused(answer.status_code, answer.json()), {})
                with bar(int(answer.headers["content-length"])) as advance:
                    for chunk in answer.iter_raw():
                        file.write(chunk)
                        advance(len(chunk))
        except httpx.ConnectError as error:
            self._unreachable(error)
        except httpx.TransportError as error:
            fail(f"the answer was cut short: {error}", ExitCode.FAILED, "ask again; `seatrial logs` may say more")

    def put_object(self, url: str, content: bytes, headers: Mapping[str, str]) -> None:
        """PUT to a presigned URL, which carries its own credentials."""
        import httpx

        try:
            answer = httpx.put(url, content=content, headers=dict(headers), timeout=PUT_SECONDS, trust_env=False)
        except httpx.TransportError as error:
            self._unreachable(error)
        if answer.is_error:
            fail(f"the upload was refused with status {answer.status_code}: {answer.text[:300]}")

    def read_object(self, uri: str) -> tuple[bytes, str]:
        """An object's bytes and media type, by S3's own wire with the owner's keys."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials as BotoCredentials

        if self._keys is None:
            fail("reading objects needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", ExitCode.USAGE, ENV_REMEDY)
        path = quote(uri.removeprefix("s3://"), safe="/~")
        request = AWSRequest("GET", f"{self.url}/{path}")
        access_key_id, secret_access_key, region = self._keys
        S3SigV4Auth(BotoCredentials(access_key_id, secret_access_key), "s3", region).add_auth(request)
        answer = self.call("GET", str(request.url), headers=dict(request.headers.items()))
        if answer.is_error:
            fail(f"{uri} cannot be read: status {answer.status_code}")
        return answer.content, answer.headers.get("content-type", "application/octet-stream")

    def events(self, path: str, **params: Any) -> Iterator[tuple[str, Any]]:
        """Server-sent events as (name, document), until the server ends them."""
        import httpx

        name = ""
        try:
            with self._client.stream("GET", path, params=_given(params), timeout=httpx.Timeout(60.0)) as answer:
                if answer.is_error:
                    answer.read()
                    end(Refused(answer.status_code, answer.json()), params)
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield name, json.loads(line.removeprefix("data: "))
        except httpx.TransportError as error:
            self._unreachable(error)

    def _unreachable(self, error: Exception) -> NoReturn:
        remedy = "start one with `seatrial serve`, or point SEATRIAL_URL at the one that runs"
        fail(f"no server answers at {self.url} ({error})", ExitCode.UNREACHABLE, remedy)


def connect(data: Path | None) -> Server:
    """The server of a data folder, or of SEATRIAL_URL and SEATRIAL_API_KEY."""
    url = os.environ.get("SEATRIAL_URL")
    if data is None and url:
        api_key = os.environ.get("SEATRIAL_API_KEY")
        if not api_key:
            fail("SEATRIAL_URL is set but SEATRIAL_API_KEY is not", ExitCode.USAGE, ENV_REMEDY)
        return Server(url, api_key, _keys_of_environment())
    from seatrial.config import ConfigError, load_credentials, read_running

    folder = data_folder(data)
    try:
        running = read_running(folder)
        own = load_credentials(folder, running.region)
    except ConfigError as error:
        fail(str(error), ExitCode.UNREACHABLE, "name its data folder with --data, or set SEATRIAL_URL")
    return Server(running.url, own.api_key, (own.access_key_id, own.secret_access_key, own.region))


def _keys_of_environment() -> tuple[str, str, str] | None:
    access_key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    return (access_key_id, secret, region) if access_key_id and secret else None


def data_folder(data: Path | None) -> Path:
    """The data folder that is meant when `--data` was not given."""
    return data or Path(os.environ.get("SEATRIAL_DATA") or DEFAULT_DATA)


def end(refused: Refused, options: Mapping[str, Any]) -> NoReturn:
    """End the command as a problem says. `options` are the request's parameters, which the command's options gave."""
    problem = refused.problem
    remedy = problem.get("remedy") or (problem.get("valid") and f"give {problem['valid']}")
    fail(f"{problem.get('error_type', 'error')}: {one_line(str(refused))}", _code(refused, options), remedy or None)


def _code(refused: Refused, options: Mapping[str, Any]) -> ExitCode:
    if refused.status == 404 or refused.problem.get("error_type") == UNKNOWN_TASK:
        return ExitCode.NOT_FOUND
    field = refused.problem.get("field")
    return ExitCode.USAGE if refused.status == 422 and field in options else ExitCode.FAILED


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
