"""A reply that is lost makes boto3 send the same request again; that is still one job (I6)."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest


class ReplyEater:
    """A TCP proxy that swallows the first reply to an async invocation and closes the connection."""

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
        if b"/async-invocations" in request.split(b"\r\n", 1)[0]:
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
def eater(server) -> Iterator[ReplyEater]:
    address = urlsplit(server.url)
    proxy = ReplyEater((address.hostname, address.port))
    yield proxy
    proxy.close()


def test_a_lost_reply_makes_one_job(server, eater, package):
    server.cli("deploy", str(package("echo_sagemaker")), "--name", "echo")
    direct = server.client("sagemaker-runtime")
    server.variables["AWS_ENDPOINT_URL"] = eater.url
    resending = server.client("sagemaker-runtime")

    answer = resending.invoke_endpoint_async(EndpointName="echo", Body=b'{"hello": 1}', ContentType="application/json")

    assert eater.invocations == 2
    jobs = json.loads(server.cli("jobs", "list", "--endpoint", "echo", "--json").stdout)
    jobs = jobs["jobs"] if isinstance(jobs, dict) else jobs
    assert len(jobs) == 1
    assert answer["OutputLocation"].endswith(".out")

    again = direct.invoke_endpoint_async(EndpointName="echo", Body=b'{"hello": 1}', ContentType="application/json")
    assert again["OutputLocation"] != answer["OutputLocation"], "a new call is a new job"
