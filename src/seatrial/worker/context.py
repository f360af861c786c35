"""What a handler can ask about itself and the request: the `context` of SageMaker's model servers."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional  # noqa: UP035  (Python 3.9)

from .answer import json_bytes
from .asks import Asks, Hook
from .tells import Tells

# ruff: noqa: TID252, UP045  (the worker loads this package under a private name; Python 3.9)
HEADERS = {  # what the doors call them -> what SageMaker's containers see
    "custom_attributes": "X-Amzn-SageMaker-Custom-Attributes",
    "inference_id": "X-Amzn-SageMaker-Inference-Id",
}


class RequestProcessor:
    """Headers of the request and of the answer, as Multi Model Server gives them to handlers."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)
        self._by_lower_case = {key.lower(): value for key, value in headers.items()}
        self._response_headers: dict[str, str] = {}
        self.status = 200
        self.phrase: Optional[str] = None

    def get_request_property(self, key: str) -> Optional[str]:
        """A header of the request, whatever the case of its name."""
        return self._by_lower_case.get(key.lower())

    def get_request_properties(self) -> dict[str, str]:
        """All headers of the request."""
        return dict(self._headers)

    def report_status(self, code: int, reason_phrase: Optional[str] = None) -> None:
        """Set the answer's status; from 400 on the job fails."""
        self.status = code
        self.phrase = reason_phrase

    def get_response_status_code(self) -> int:
        """The answer's status."""
        return self.status

    def get_response_status_phrase(self) -> Optional[str]:
        """What the handler said about the status."""
        return self.phrase

    def add_response_property(self, key: str, value: str) -> None:
        """Set a header of the answer."""
        self._response_headers[key] = value

    def get_response_headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return self._response_headers

    get_response_header = get_response_headers


class Context:
    """As far as handlers use it; the index of a request within its batch is always 0.

    Of our own it has `cancelled`, `on_cancel` and `progress`.
    """

    def __init__(self, model_name: str, model_dir: str, asks: Asks, tells: Tells) -> None:
        self._asks = asks
        self.tells = tells
        self.unfit: Optional[str] = None  # why the process is to be replaced after the work at hand
        self.model_name = model_name
        self.manifest: dict[str, Any] = {"model": {"modelName": model_name}}
        self.metrics = None
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": _gpu_id(),
            "batch_size": 1,
            "server_name": "Seatrial",
            "server_version": "1",
        }
        self.request_ids: dict[int, str] = {}
        self.request_processor = [RequestProcessor({})]

    @property
    def model_dir(self) -> str:
        """The folder of the package."""
        return str(self.system_properties["model_dir"])

    @property
    def cancelled(self) -> bool:
        """True once the job at hand is to stop: it was cancelled, or its time is up. What it answers is dropped.

        Cheap enough for every turn of a loop. A handler that looks, and then returns or raises, keeps its process;
        one that does not within `cancel_grace_seconds` is killed.
        """
        return self._asks.is_asked()

    def on_cancel(self, hook: Hook) -> None:
        """Have `hook(job_id)` called, in a thread of its own, when the job at hand is to stop; one hook at a time."""
        self._asks.call(hook)

    def progress(self, told: Any) -> None:
        """Say how far the job at hand is: any JSON value. The newest is shown with the job for as long as it runs.

        Raises:
            NotSerialisable: JSON cannot carry it; its first such value is named.
        """
        self.tells.progress(self.request_ids.get(0, ""), json_bytes(told))

    def leave(self, reason: str) -> None:
        """Have the process replaced once the work at hand is answered."""
        self.unfit = reason

    def begin(self, number: int, job_id: str, media_type: str, accept: str, attributes: Mapping[str, str]) -> None:
        """Turn to the next request."""
        headers = {"Content-Type": media_type, "Accept": accept}
        headers.update({HEADERS.get(key, key): value for key, value in attributes.items()})
        self._asks.begin(number, job_id)
        self.request_ids = {0: job_id}
        self.request_processor = [RequestProcessor(headers)]

    def join(self, number: int, job_id: str) -> None:
        """Turn to one more request, beside those at hand; see Asks.join."""
        self._asks.join(number, job_id)

    def part(self, number: int) -> None:
        """Have done with one that has joined."""
        self._asks.part(number)

    def get_request_id(self, idx: int = 0) -> Optional[str]:
        """The id of the job."""
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> Optional[str]:
        """A header of the request, whatever the case of its name."""
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """All headers of the request."""
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the media type of the answer."""
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> Optional[str]:
        """The media type that was set."""
        return self.get_response_headers(idx).get("content-type")

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a header of the answer."""
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """The headers that were set."""
        return self.request_processor[idx].get_response_headers()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the answer's status; from 400 on the job fails."""
        self.request_processor[idx].report_status(code, phrase)

    set_http_response_status = set_response_status

    def get_response_status(self, idx: int) -> tuple[int, Optional[str]]:
        """The answer's status, and what the handler said about it."""
        return self.request_processor[idx].status, self.request_processor[idx].phrase

    get_http_response_status = get_response_status


def _gpu_id() -> Optional[int]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1", "NoDevFiles") or not os.path.exists("/dev/nvidiactl"):
        return None
    return 0  # the first of those that are visible
