"""A receiver of webhooks that verifies and remembers, and sometimes says no."""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

REFUSED = 0.2  # of what comes


class Receiver:
    """What was told, by job. `secret` is known once the server has been started."""

    def __init__(self, seed: int = 0, refused: float = 0.0) -> None:
        self.secret = ""
        self.refuses = True
        self.told: dict[str, list[tuple[str, str]]] = defaultdict(list)  # job id -> (notification id, status)
        self.wrong: list[str] = []
        dice, receiver = random.Random(f"{seed} receiver"), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # its sender was killed in the middle of it: nothing was told
                    return
                refused = not receiver.secret or (receiver.refuses and dice.random() < refused_share)
                if not refused:
                    receiver._take(body, {name.lower(): value for name, value in self.headers.items()})
                self.send_response(500 if refused else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        refused_share = refused
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/told"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, body: bytes, headers: dict[str, str]) -> None:
        try:
            Webhook(self.secret).verify(body, headers)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it is a violation
            self.wrong.append(f"a notification cannot be verified: {error!r}")
            return
        data = json.loads(body)["data"]
        if "job_id" in data:  # what befalls the endpoint is told as well
            self.told[data["job_id"]].append((headers["webhook-id"], data["status"]))
