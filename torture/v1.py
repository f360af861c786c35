"""Errands over the native API: sent until they are accepted, watched until they end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from torture.work import ENDPOINT, Errand

AGAIN = {429, 500, 502, 503, 504}
PATIENCE_SECONDS = 60.0


def send(http: httpx.Client, errand: Errand, endpoint: str = ENDPOINT) -> bool:
    """Ask once, with a JSON body; True when the server answered for good."""
    json = {"content": errand.body(), "headers": {"Content-Type": "application/json"}}
    return sent(errand, lambda: post(http, errand, endpoint, **json))


def post(http: httpx.Client, errand: Errand, endpoint: str = ENDPOINT, **body: Any) -> httpx.Response:
    """One request for a job, under the errand's key."""
    headers = {"Idempotency-Key": errand.key, **body.pop("headers", {})}
    return http.post(f"/v1/endpoints/{endpoint}/jobs", headers=headers, **body)


def sent(errand: Errand, ask: Callable[[], httpx.Response]) -> bool:
    """Take the answer down. A connection that breaks tells nothing, and an endpoint may come back into service."""
    try:
        answer = ask()
    except httpx.TransportError as error:
        errand.last_said = repr(error)
        return False
    errand.last_said = f"{answer.status_code} {answer.text[:300]}"
    if answer.status_code == 202:
        errand.promised = True
        errand.ids.add(answer.json()["id"])
    elif answer.status_code not in AGAIN and "endpoint_not_in_service" not in answer.text:
        errand.refused = errand.last_said
    return errand.accepted or errand.refused is not None


def send_until_accepted(http: httpx.Client, errand: Errand, endpoint: str = ENDPOINT) -> None:
    """Ask again and again, under the same key."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not send(http, errand, endpoint):
        assert time.monotonic() < give_up, f"errand {errand.number} is not accepted: {errand.last_said}"
        time.sleep(0.1)
    assert errand.refused is None, errand.refused


def ended(http: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job once it has ended, or as it is when patience ends."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        job = http.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
        if job["ended_at"] or time.monotonic() > give_up:
            return dict(job)
