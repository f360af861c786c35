"""A reply that is lost makes boto3 send the same request again; that is still one job (I6)."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config


class ReplyEater:
    """A TCP proxy that swallows the first reply to an invocation and closes the connection."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.invocations = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        request = _whole_request(client)
        with socket.create_connection(self.target) as server:
            server.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            reply = b""
            while chunk := server.recv(1 << 20):
                reply += chunk
        if b"invocations" in request.split(b"\r\n", 1)[0]:
            self.invocations += 1
            if self.invocations == 1:
                return  # accepted by the server, never heard of by the client
        client.sendall(reply)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def _whole_request(client: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(1 << 16)
    head, _, body = request.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
    while len(body) < length:
        body += client.recv(1 << 16)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def eater(api: Any) -> Iterator[ReplyEater]:
    address = urlsplit(api.server.url)
    proxy = ReplyEater((address.hostname, address.port))
    yield proxy
    proxy.close()


@pytest.fixture
def resending(api: Any, eater: ReplyEater) -> Callable[[str], Any]:
    """A client with boto3's own settings whose first reply gets lost."""
    known = api.server.variables
    session = boto3.session.Session(
        known["AWS_ACCESS_KEY_ID"], known["AWS_SECRET_ACCESS_KEY"], region_name=known["AWS_DEFAULT_REGION"]
    )
    return lambda service: session.client(service, endpoint_url=eater.url, config=Config(read_timeout=75))


def jobs_of(api: Any, name: str) -> list[dict[str, Any]]:
    return list(api.http.get("/v1/jobs", params={"endpoint": name}).json()["jobs"])


def test_a_lost_reply_makes_one_job(api: Any, eater: ReplyEater, resending: Any) -> None:
    api.serve("async", "echo_sagemaker")
    before = len(jobs_of(api, "async"))
    given = {"EndpointName": "async", "Body": b'{"hello": 1}', "ContentType": "application/json"}

    answer = resending("sagemaker-runtime").invoke_endpoint_async(**given)

    assert eater.invocations == 2
    assert len(jobs_of(api, "async")) == before + 1
    assert answer["OutputLocation"].endswith(".out")
    again = api.server.client("sagemaker-runtime").invoke_endpoint_async(**given)
    assert again["OutputLocation"] != answer["OutputLocation"], "a new call is a new job"


@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_a_lost_reply_of_a_function_makes_one_job(api: Any, eater: ReplyEater, resending: Any, kind: str) -> None:
    name = f"function-{kind.lower()}"
    api.serve(name)
    before = len(jobs_of(api, name))

    payload = json.dumps({"code": "6 * 7"}).encode()
    answer = resending("lambda").invoke(FunctionName=name, InvocationType=kind, Payload=payload)
    said = answer["Payload"].read()  # of an event too: one that is left unread keeps its connection

    assert eater.invocations == 2
    assert len(jobs_of(api, name)) == before + 1
    assert answer["StatusCode"] == (200 if kind == "RequestResponse" else 202)
    assert api.value(answer["ResponseMetadata"]["RequestId"]) == 42
    assert said == (b'{"value": 42}' if kind == "RequestResponse" else b"")
