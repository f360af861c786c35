"""A client of the studio protocol: order pictures and trainings, poll them, fetch what they gave."""

from __future__ import annotations

import os
import time
from typing import Any

import httpx

MINER_URL = os.environ.get("ASYNC_MINER_URL", "http://127.0.0.1:8091")
ENDED = ("completed", "failed", "timeout")
POLL_SECONDS = 0.2


class Refused(Exception):
    """The server did not accept the job; `field` names what is wrong with it."""

    def __init__(self, status: int, told: dict[str, Any]) -> None:
        super().__init__(f"{status}: {told.get('detail')}")
        self.status = status
        self.field = told.get("field")


class StudioClient:
    """Talks to one server. `api_key` where it does not listen on loopback."""

    def __init__(self, url: str = MINER_URL, api_key: str | None = os.environ.get("STUDIO_API_KEY")) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)

    def health(self) -> dict[str, Any]:
        """`status` is healthy where jobs are taken."""
        return dict(self.http.get("/health").json())

    def infer(self, prompt: str, **fields: Any) -> str:
        """Order a picture; the job's id. Raises Refused."""
        return self._accepted("/inference", {"prompt": prompt, **fields})

    def train(self, **params: Any) -> str:
        """Order a training; the job's id. Raises Refused."""
        return self._accepted("/train", {"job_type": "lora_training", "params": params})

    def status(self, job_id: str, kind: str = "inference") -> dict[str, Any]:
        """Where a job is; `kind` is inference or training."""
        return dict(self.http.get(f"/{kind}/status/{job_id}").raise_for_status().json())

    def ended(self, job_id: str, kind: str = "inference", seconds: float = 600) -> dict[str, Any]:
        """The job's status once it has ended. Raises TimeoutError."""
        give_up = time.monotonic() + seconds
        while (told := self.status(job_id, kind))["status"] not in ENDED:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{job_id} is {told['status']} after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        return told

    def told(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """What became of an ended job's callback. Raises TimeoutError."""
        give_up = time.monotonic() + seconds
        while (callback := self.status(job_id).get("callback")) is None:
            if time.monotonic() > give_up:
                raise TimeoutError(f"nobody was told of {job_id} in {seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        return dict(callback)

    def result(self, job_id: str) -> httpx.Response:
        """The picture, or what a training made."""
        return self.http.get(f"/inference/result/{job_id}").raise_for_status()

    def _accepted(self, path: str, body: dict[str, Any]) -> str:
        answer = self.http.post(path, json=body)
        told = answer.json()
        if answer.is_error or not told.get("accepted"):
            raise Refused(answer.status_code, told)
        return str(told["job_id"])
