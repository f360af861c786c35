"""A server whose clients see it at another address than where it listens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

PUBLIC = "https://seatrial.example.com"


def test_signed_urls_and_printed_calls_have_the_address_that_clients_see(make_server: Callable[..., Any]) -> None:
    server = make_server("--public-url", PUBLIC)
    assert server.variables["SEATRIAL_URL"] == server.variables["AWS_ENDPOINT_URL"] == PUBLIC
    here = json.loads((server.data / "server.json").read_text())["url"]
    key = {"Authorization": f"Bearer {server.variables['SEATRIAL_API_KEY']}"}
    order = httpx.post(f"{here}/v1/uploads", json={"file_name": "a.txt"}, headers=key).json()
    url = urlsplit(order["url"])
    assert f"{url.scheme}://{url.netloc}" == PUBLIC
    passed_on = f"{here}{url.path}?{url.query}"  # as a proxy does that keeps the Host
    assert httpx.put(passed_on, content=b"hello", headers={"Host": url.netloc}).status_code == 200
    assert httpx.put(passed_on, content=b"hello").status_code == 403
