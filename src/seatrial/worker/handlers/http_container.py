"""The layout of serving containers: a start command whose server answers `GET /ping` and `POST /invocations`.

The contract is SageMaker's for containers (its Developer Guide, "Use your own inference code with hosting services"):
port 8080 or $SAGEMAKER_BIND_TO_PORT, the model at /opt/ml/model, ready once a ping is answered with 200, and answers
that tell their Content-Length.
"""

# ruff: noqa: TID252, UP006, UP035, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import html
import http.client
import json
import os
import pathlib
import re
import shutil
from typing import Any, Dict, Mapping, Optional

from .. import protocol, session
from ..answer import BINARY, Answer, Payload
from ..context import HEADERS, Context
from ..failure import HandlerUnusable
from ..ports import Ports, ports
from ..request import Request
from ..serving import HOST, Serving

INVOCATIONS = "/invocations"
JOB_HEADER = "X-Seatrial-Job-Id"
TASK_HEADER = "X-Seatrial-Task"
BODY_BYTES_READ_MAX = protocol.MIB  # of an answer that is no result
TRACEBACK = "Traceback (most recent call last):"
TRY_LATER = (408, 425, 429)  # not the input's fault


class NoOwnNetwork(HandlerUnusable):
    """The package asks for a network of its own, and the system does not allow one."""

    remedy = 'Run the server where it may make network namespaces, or set network = "host" in [http].'


class InputRefused(Exception):
    """The server answered with a status from 400 to 499."""

    error_type = "input_refused"
    remedy = "Mend the input as the message says: the package's server refused it."

    def __init__(self, status: int, message: str, details: Dict[str, Any]) -> None:
        super().__init__(message)
        self.details = {"status_code": status, **details}


class ServerFailed(Exception):
    """The server answered with a status that is neither success nor the input's fault."""

    error_type = "handler_error"
    remedy = "Mend the package's server, or the input if it is at fault."

    def __init__(self, status: int, message: str, details: Dict[str, Any]) -> None:
        super().__init__(message)
        self.details = {"status_code": status, **details}


class AnswerUnusable(Exception):
    """The answer is no HTTP, too large, or does not tell how long it is."""

    error_type = "output_not_serialisable"

    def __init__(self, message: str, remedy: str, error_type: str = error_type) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.remedy = remedy


def load(order: Dict[str, Any], context: Context) -> Container:
    """Start the server and wait until it is ready.

    Raises:
        HandlerUnusable: it cannot be run, ended, or is not ready in time.
        PortsTaken: no ports are free.
    """
    program: Mapping[str, Any] = order["program"]
    if program["network"] == "own" and not program["own_network"]:
        raise NoOwnNetwork(
            'the system refuses the network of its own that the package asks for ([http] network = "own")'
        )
    if program["follow"]:
        session.follow(program["follow"])
    held = ports(program["port"], own_network=program["own_network"])
    serving = Serving(program["command"], order["package"], variables(held, program["model"]), held)
    serving.wait_ready(order["load_timeout_seconds"])
    return Container(serving, program["answer_bytes_max"], program["slots"])


def variables(held: Ports, model: str) -> Dict[str, str]:
    """What the contract puts into the environment; the package's own come first, but for the ports."""
    defaults = {"SM_MODEL_DIR": model, "SAGEMAKER_BASE_DIR": os.path.dirname(model)}
    given = {name: os.environ.get(name, value) for name, value in defaults.items()}
    port = str(held.port)
    return {**given, "PORT": port, "SAGEMAKER_BIND_TO_PORT": port, "SAGEMAKER_SAFE_PORT_RANGE": held.safe_range}


class Container:
    """Sends each request to the server; may be called from several threads at once."""

    def __init__(self, serving: Serving, answer_bytes_max: int, slots: int) -> None:
        self._serving = serving
        self._answer_bytes_max = answer_bytes_max
        self.slots = slots if slots > 1 else None

    def __call__(self, request: Request) -> Answer:
        """What the server answers.

        Raises:
            InputRefused, ServerFailed: it answered with another status than success.
            AnswerUnusable: the answer cannot be taken.
        """
        self._serving.request_begins()
        connection = http.client.HTTPConnection(HOST, self._serving.port)
        try:
            return self._exchange(connection, request)
        except (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError) as error:
            self._serving.fail(
                f"it broke off the request of job {request.job_id}: {str(error) or type(error).__name__}"
            )
            raise
        except http.client.HTTPException as error:
            message = f"the server's answer is no HTTP: {type(error).__name__}: {error}"
            raise AnswerUnusable(
                message, "Mend the server: it has to answer POST /invocations with HTTP/1.1."
            ) from None
        finally:
            connection.close()
            self._serving.request_ended()

    @staticmethod
    def others_bytes() -> int:
        """What the server's processes have resident."""
        return session.memory_bytes()

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        _send(connection, request)
        response = connection.getresponse()
        if not 200 <= response.status < 300:
            raise _refusal(response)
        body = self._body(response, request)
        return Answer(body, response.getheader("Content-Type") or BINARY, {})

    def _body(self, response: http.client.HTTPResponse, request: Request) -> Payload:
        length = response.length
        if response.chunked or length is None:
            raise AnswerUnusable(
                "the server's answer has no Content-Length: none is taken that is chunked or ends with its connection",
                "Let the server send the whole answer at once, with its Content-Length.",
            )
        if length > self._answer_bytes_max:
            raise AnswerUnusable(
                f"the server's answer has {length:,} bytes; at most {self._answer_bytes_max:,} are allowed",
                "Return less.",
                "output_too_large",
            )
        if length <= protocol.SEGMENT_BYTES_MAX:
            return response.read()
        os.makedirs(request.folder, exist_ok=True)
        path = pathlib.Path(request.folder, "http-answer")
        with open(path, "wb") as file:
            shutil.copyfileobj(response, file, protocol.MIB)
            written = file.tell()
        if written < length:
            raise http.client.IncompleteRead(b"", length - written)
        return path


def _send(connection: http.client.HTTPConnection, request: Request) -> None:
    """Always with a Content-Length."""
    headers = _headers(request)
    try:
        with request.body_stream() as (body, length):
            connection.request("POST", INVOCATIONS, body, {**headers, "Content-Length": str(length)})
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may have answered without reading all: what it said, or that it is gone, is read next


def _headers(request: Request) -> Dict[str, str]:
    given = {"Content-Type": request.media_type, "Accept": request.accept or "*/*", JOB_HEADER: request.job_id}
    if request.task:
        given[TASK_HEADER] = request.task
    given.update({HEADERS[name]: value for name, value in request.attributes.items() if name in HEADERS})
    return {name: value.encode("ascii", "backslashreplace").decode() for name, value in given.items()}


def _refusal(response: http.client.HTTPResponse) -> Exception:
    """With the server's own words."""
    said = _said(response.read(BODY_BYTES_READ_MAX), response.getheader("Content-Type") or "")
    status = response.status
    message = _message(said) or f"{status} {response.reason}".strip()
    kind = InputRefused if 400 <= status < 500 and status not in TRY_LATER else ServerFailed
    message, begins, frames = message.partition(TRACEBACK)
    if not begins:
        return kind(status, message, {"answer": said})
    last = frames.strip().rpartition("\n")[2]  # the toolkits send the exception's words alone before that
    return kind(status, last or message, {"traceback": (begins + frames)[-protocol.TRACEBACK_CHARS_MAX :]})


def _said(body: bytes, media_type: str) -> Any:
    """JSON as it is, a page as its text, all else as text."""
    text = body.decode("utf-8", "replace")
    if media_type.startswith("text/html"):
        shown = re.sub(r"(?s)<(title|style|script)\b.*?</\1>|<[^>]*>", " ", text)
        return " ".join(html.unescape(shown).split())
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _message(said: Any) -> Optional[str]:
    """The sentence in it that is meant for people; the toolkits send it as text, or under one of these names."""
    if isinstance(said, str):
        return said.strip()
    if isinstance(said, dict):
        for name in ("message", "error", "detail", "errorMessage"):
            if isinstance(said.get(name), str) and said[name].strip():
                return str(said[name]).strip()
    return json.dumps(said, ensure_ascii=False)
