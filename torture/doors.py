"""One client of a server that keeps dying, at every door there is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from torture import v1
from torture.server import Server
from torture.work import ENDPOINT, Errand

RETRIES = {"max_attempts": 3, "mode": "standard"}


class Client:
    """Sends errands until the server answers, or the run is over."""

    def __init__(self, server: Server, over: threading.Event, say: Callable[[str], None]) -> None:
        self._server = server
        self._over = over
        self._say = say
        self._http = server.new_http()
        self._runtime = server.client("sagemaker-runtime", retries=RETRIES, read_timeout=60, connect_timeout=5)
        self._doors: dict[str, Callable[[Errand], bool]] = {
            "v1": lambda errand: v1.send(self._http, errand),
            "form": self._form,
            "sagemaker async": self._asynchronous,
            "sagemaker sync": self._synchronous,
        }

    def close(self) -> None:
        self._http.close()
        self._runtime.close()

    def send(self, errand: Errand) -> None:
        """Ask until there is an answer, as a patient client does."""
        while not self._doors[errand.door](errand) and not self._over.is_set():
            time.sleep(0.1)

    def cancel(self, errand: Errand) -> None:
        """Whatever comes of it."""
        errand.cancelled = True
        for job_id in list(errand.ids):
            with suppress(httpx.TransportError):
                self._http.post(f"/v1/jobs/{job_id}/cancel", timeout=10)

    def look(self, errand: Errand) -> None:
        """Remember the terminal state, if there is one."""
        for job_id in list(errand.ids):
            with suppress(httpx.TransportError):
                answer = self._http.get(f"/v1/jobs/{job_id}")
                if answer.status_code == 200 and answer.json()["ended_at"]:
                    errand.ends.add(answer.json()["status"])
                elif answer.status_code == 404:
                    self._say(f"errand {errand.number}: the accepted job {job_id} is not found")

    def _form(self, errand: Errand) -> bool:
        fields = {name: (None, str(value)) for name, value in errand.request().items()}
        return v1.sent(errand, lambda: v1.post(self._http, errand, files=fields))

    def _asynchronous(self, errand: Errand) -> bool:
        call = {"EndpointName": ENDPOINT, "ContentType": "application/json", "InferenceId": errand.key}
        return self._asked(errand, lambda: self._runtime.invoke_endpoint_async(**call, Body=errand.body()))

    def _synchronous(self, errand: Errand) -> bool:
        call = {"EndpointName": ENDPOINT, "ContentType": "application/json", "InferenceId": errand.key}
        return self._asked(errand, lambda: self._runtime.invoke_endpoint(**call, Body=errand.body()))

    def _asked(self, errand: Errand, ask: Callable[[], Any]) -> bool:
        """A call whose answer is lost may have made a job; the next call makes another."""
        try:
            answer = ask()
        except ClientError as error:
            return self._refused(errand, error)
        except BotoCoreError:
            errand.jobs_max += 1
            return False
        errand.promised = True
        if "Body" in answer:
            with suppress(Exception):  # the connection may break while the answer is read
                self._judge(errand, answer["Body"].read())
        return True

    def _refused(self, errand: Errand, error: ClientError) -> bool:
        said = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if said["Code"] == "ModelError" and status == 424:  # an outcome: the job has failed, or was cancelled
            errand.promised = True
            return True
        if status in v1.AGAIN or "not InService" in said["Message"]:
            errand.jobs_max += 1
            return False
        errand.refused = f"{status} {said}"
        return True

    def _judge(self, errand: Errand, content: bytes) -> None:
        if not errand.is_answer(json.loads(content)):
            self._say(f"errand {errand.number}: InvokeEndpoint answered {content[:100]!r}")
