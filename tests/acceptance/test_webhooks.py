"""Webhooks as a receiver sees them: signed, told again until it answers, under one id, and harmless when it is away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from seatrial.domain.limits import WEBHOOK_ANSWER_SECONDS_MAX


class Receiver:
    """A real HTTP server that keeps what it was sent; `status` is what it answers next."""

    def __init__(self, port: int = 0) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.held = threading.Event()
        self.held.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.held.wait(20)
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                answer = b"" if receiver.status == 204 else b"word " * 1_000
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?for=me"

    def close(self) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def deliveries(api: Any, **which: str) -> list[dict[str, Any]]:
    answer = api.http.get("/v1/deliveries", params=which)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["deliveries"])


def test_every_end_is_told_signed(api: Any, receiver: Receiver, eventually: Callable[..., Any], gate: Any) -> None:
    api.serve("e0", webhook=receiver.url)
    ended = {"succeeded": api.submit("e0"), "failed": api.submit("e0", "1 / 0")}
    running = api.submit("e0", gate.code)
    gate.reached()
    ended["cancelled"] = api.submit("e0", webhook="http://127.0.0.1:9/nobody")
    api.http.post(f"/v1/jobs/{ended['cancelled']}/cancel")
    gate.open()
    api.ended(running)
    eventually(lambda: len(receiver.got) == 4)
    verifier = Webhook(api.server.variables["SEATRIAL_WEBHOOK_SECRET"])
    told = {}
    for headers, body in receiver.got:
        verifier.verify(body, headers)
        event = json.loads(body)
        told[event["data"].get("job_id")] = event
    assert {job_id: told[job_id]["type"] for job_id in ended.values()} == {
        job_id: f"job.{word}" for word, job_id in ended.items()
    }
    success = told[ended["succeeded"]]["data"]
    assert success["result"] == api.job(ended["succeeded"])["result"]
    assert told[ended["failed"]]["data"]["error"]["error_type"] == "handler_error"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 4
    (away,) = [one for one in deliveries(api, job=ended["cancelled"]) if "nobody" in one["url"]]
    assert (away["status"], away["next_try_at"] is not None) == ("pending", True)
    assert len(deliveries(api, endpoint="e0")) == 5  # the trial's own jobs are told to nobody


def test_a_receiver_that_was_down_is_told_later_under_the_same_id(
    own_api: Any, receiver: Receiver, eventually: Callable[..., Any]
) -> None:
    api = own_api
    api.serve("e")
    receiver.close()
    job_id = api.submit("e", webhook=receiver.url)
    assert api.ended(job_id)["status"] == "succeeded"
    (delivery,) = eventually(lambda: [one for one in deliveries(api, job=job_id) if one["tries"]])
    api.server.kill()  # what is to be told survives the server
    again = Receiver(receiver.port)
    try:
        again.status = 500
        api.server.start()
        api.reconnect()
        eventually(lambda: again.got, seconds=30)
        first = eventually(lambda: api.http.get(f"/v1/deliveries/{delivery['id']}").json()["attempts"][1:])[0]
        assert (first["status"], len(first["answer"])) == (500, 500)
        again.status = 200
        done = api.server.cli("deliveries", "replay", delivery["id"])
        assert delivery["id"] in done.stdout
        eventually(lambda: deliveries(api, job=job_id)[0]["status"] == "delivered")
        assert {headers["webhook-id"] for headers, _ in again.got} == {delivery["id"]}
        assert len({body for _, body in again.got}) == 1
        shown = api.server.cli("deliveries", "show", delivery["id"]).stdout
        assert "500 word word" in shown
        assert "200" in shown
        listed = json.loads(api.server.cli("deliveries", "list", "--job", job_id, "--json").stdout)
        assert [one["status"] for one in listed["deliveries"]] == ["delivered"]
    finally:
        again.close()


def test_a_redirect_is_a_failure_and_gone_is_final(
    api: Any, receiver: Receiver, eventually: Callable[..., Any]
) -> None:
    api.serve("e2")
    elsewhere = Receiver()
    try:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        moved = api.submit("e2", webhook=receiver.url)
        eventually(lambda: deliveries(api, job=moved)[:1] and deliveries(api, job=moved)[0]["tries"])
        assert deliveries(api, job=moved)[0]["status"] == "pending"
        receiver.status, receiver.headers = 410, {}
        gone = api.submit("e2", webhook=receiver.url)
        eventually(lambda: deliveries(api, job=gone, status="failed"))
        assert elsewhere.got == []
    finally:
        elsewhere.close()


def test_a_receiver_that_hangs_slows_nobody(api: Any, receiver: Receiver, eventually: Callable[..., Any]) -> None:
    quick = Receiver()
    try:
        api.serve("e3")
        receiver.held.clear()
        for _ in range(12):
            api.submit("e3", webhook=receiver.url)
        began = time.monotonic()
        job_id = api.submit("e3", webhook=quick.url)
        assert api.ended(job_id)["status"] == "succeeded"
        eventually(lambda: quick.got)
        assert time.monotonic() - began < WEBHOOK_ANSWER_SECONDS_MAX  # so it waited for none of the others
        assert receiver.got == []
    finally:
        quick.close()


def test_webhooks_that_cannot_be_are_refused_at_once(api: Any, make_server: Any, api_of: Any) -> None:
    api.serve("e4")
    refused = api.post("e4", {"code": "1"}, webhook="ftp://example.com/")
    assert (refused.status_code, refused.json()["field"]) == (422, "webhook")
    public = api_of(make_server("--host", "0.0.0.0"))
    refused = public.put("e", "obedient", webhook="http://127.0.0.1:9/")
    assert (refused.status_code, "--allow-receiver 127.0.0.1/32" in refused.text) == (422, True)
    public.serve("e", webhook="http://127.1:9/")  # a name is judged when it is called
    refused = public.post("e", {"code": "1"}, webhook="http://127.0.0.1:8000/")
    assert (refused.status_code, refused.json()["field"]) == (422, "webhook")
    job_id = public.submit("e")
    public.ended(job_id)
    give_up = time.monotonic() + 20
    while not (shown := deliveries(public, job=job_id)) or not shown[0]["tries"]:
        assert time.monotonic() < give_up
        time.sleep(0.1)
    attempts = public.http.get(f"/v1/deliveries/{shown[0]['id']}").json()["attempts"]
    assert "not allowed" in attempts[0]["error"]
