"""A small page: choose a plan, see its rooms drawn over it.

    eval "$(seatrial env)"; python page/serve.py [--port 8200] [--pipeline]

The page asks this process, and this process asks Seatrial, so that no key is in the browser: POST /uploads gives a
job id and a URL for the plan's bytes, GET /jobs/ID is the job as it is, from the first moment, and /jobs/ID/result its
answer. With --pipeline the plans go through the buckets and functions of aws/ (this needs boto3).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from endpoint import NEEDS, PLAN_BYTES_MAX, Endpoint

if TYPE_CHECKING:
    from pipeline import Pipeline

PAGE = Path(__file__).resolve().parent / "index.html"
JOB = re.compile(r"/jobs/([0-9a-f-]{36})(/result)?$")
BODY_BYTES_MAX = 4_096


class Server(ThreadingHTTPServer):
    """Holds whom to ask."""

    def __init__(self, port: int, asked: Endpoint | Pipeline) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.asked = asked


class Handler(BaseHTTPRequestHandler):
    """Three routes and the page."""

    server: Server

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, PAGE.read_bytes(), "text/html; charset=utf-8")
        elif found := JOB.match(self.path):
            asked = self.server.asked
            self._answer(*(asked.result if found[2] else asked.job)(found[1]))
        else:
            self._answer(404, b'{"detail": "there is no such page"}')

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if self.path != "/uploads" or not size.isdigit() or int(size) > BODY_BYTES_MAX:
            self._answer(400, b'{"detail": "POST /uploads takes {file_name, media_type}"}')
            return
        try:
            told = json.loads(self.rfile.read(int(size)))
            order = (str(told["file_name"]), str(told["media_type"]))
        except (ValueError, TypeError, KeyError):
            self._answer(400, b'{"detail": "POST /uploads takes {file_name, media_type}"}')
            return
        self._answer(*self.server.asked.order(*order))

    def do_PUT(self) -> None:
        """The plan's bytes, on to the presigned URL: browsers may not PUT to another origin."""
        size, url = self.headers.get("Content-Length", ""), self.headers.get("X-Upload-Url", "")
        if not size.isdigit() or int(size) > PLAN_BYTES_MAX or not url.startswith(self.server.asked.url + "/"):
            self._answer(400, b'{"detail": "PUT takes a plan of at most 50 MB and the X-Upload-Url of its order"}')
            return
        kind = self.headers.get("Content-Type", "application/octet-stream")
        headers = {"Content-Type": kind, "Content-Length": size}
        request = urllib.request.Request(url, self.rfile.read(int(size)), headers, method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self._answer(answer.status, b"{}")
        except urllib.error.HTTPError as error:
            self._answer(error.code, json.dumps({"detail": error.read().decode(errors="replace")}).encode())
        except OSError as error:
            self._answer(502, json.dumps({"detail": f"Seatrial does not answer: {error}"}).encode())

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are not told."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8200)
    parser.add_argument("--endpoint", default="floorplan", help="whose jobs the plans become")
    parser.add_argument("--pipeline", action="store_true", help="plans go through the AWS pipeline instead")
    parser.add_argument("--plans", default="location-detection-blueprints-development", help="its bucket of plans")
    parser.add_argument("--results", default="location-detection-results-development", help="its bucket of results")
    given = parser.parse_args()
    if given.pipeline:
        from pipeline import Pipeline

        server = Server(given.port, Pipeline(given.plans, given.results))
    else:
        missing = [name for name in NEEDS if not os.environ.get(name)]
        if missing:
            parser.error(f'{" and ".join(missing)} not set; first: eval "$(seatrial env)"')
        server = Server(given.port, Endpoint(given.endpoint))
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
