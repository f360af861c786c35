"""A real server of the studio protocol, with engines that paint in threads, and faults that can be planted in it.

    python studio_server.py FAULT

prints its port. Without a fault it is sound: buffers of its own for each job, files renamed when they are whole, one
callback for each job, training and inference one after the other.
"""

from __future__ import annotations

import atexit
import io
import json
import queue
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE, BANDS, ENGINES = 96, 6, 3
FAULTS = (
    "shared_buffer", "non_atomic", "shared_state", "crossed_files", "training_interrupts", "forgets_jobs",
    "silent", "tells_twice", "crossed_callbacks",
)  # fmt: skip


class Studio:
    """Jobs, engines and results; `fault` is one of FAULTS, "random" (sound, without seeds), or empty."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.jobs: dict[str, dict[str, Any]] = {}
        self.queue: queue.Queue[str] = queue.Queue()
        self.folder = Path(tempfile.mkdtemp(prefix="studio-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.buffer = np.zeros((SIZE, SIZE, 3), "uint8")  # shared, where that is the fault
        self.current = 0  # likewise
        self.training = threading.Event()
        self.device = threading.Condition()
        self.painting = 0
        for _ in range(ENGINES):
            threading.Thread(target=self.engine, daemon=True).start()

    def accept(self, job: dict[str, Any]) -> bool:
        if job["job_id"] in self.jobs:
            return False
        self.jobs[job["job_id"]] = job | {"status": "queued"}
        self.queue.put(job["job_id"])
        return True

    def engine(self) -> None:
        while True:
            job = self.jobs[self.queue.get()]
            job["status"] = "processing"
            if job.get("job_type"):
                self.train(job)
            else:
                self.infer(job)
            job["completed_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            job["status"] = "completed"
            if self.fault == "forgets_jobs" and self.painting:
                self.jobs.pop(job["job_id"], None)  # two ends at once, and one of them rewrites the table
            if job.get("callback_url"):
                self.call_back(job)

    def train(self, job: dict[str, Any]) -> None:
        interrupts = self.fault == "training_interrupts"
        give_up = time.monotonic() + 1
        while interrupts and not self.painting and time.monotonic() < give_up:
            time.sleep(0.001)
        with self.device:
            if not interrupts:
                self.device.wait_for(lambda: self.painting == 0)
            self.training.set()
            time.sleep(0.1)
            self.training.clear()

    def infer(self, job: dict[str, Any]) -> None:
        if self.fault == "training_interrupts":
            self.painting += 1
        else:
            with self.device:
                self.painting += 1
        try:
            picture = self.paint(int(job["seed"]))
        finally:
            with self.device:
                self.painting -= 1
                self.device.notify_all()
        job["file"] = self.keep(job["job_id"], picture)

    def paint(self, seed: int) -> bytes:
        if self.fault == "shared_state":  # as an adapter that is loaded into the one model
            self.current = seed
            time.sleep(0.004)
            seed = self.current
        random = np.random.default_rng(None if self.fault == "random" else seed)
        slope = np.linspace(30, 200, SIZE)[:, None, None] * random.uniform(0.5, 1, 3)
        whole = (slope + random.normal(20, 10, (SIZE, SIZE, 3))).clip(0, 255).astype("uint8")
        canvas = self.buffer if self.fault == "shared_buffer" else np.zeros_like(whole)
        rows = SIZE // BANDS
        for band in range(BANDS):  # as a sampler, step by step
            if self.fault == "training_interrupts" and self.training.is_set():
                break
            canvas[band * rows : (band + 1) * rows] = whole[band * rows : (band + 1) * rows]
            time.sleep(0.002)
        out = io.BytesIO()
        Image.fromarray(canvas).save(out, "png")
        return out.getvalue()

    def keep(self, job_id: str, picture: bytes) -> Path:
        if self.fault in ("non_atomic", "crossed_files"):
            name = "out.png" if self.fault == "crossed_files" else f"{job_id}.png"
            path = self.folder / name
            with path.open("wb") as file:
                file.write(picture[: len(picture) // 2])
                file.flush()
                self.jobs[job_id]["file"] = path
                if self.fault == "non_atomic" and self.painting:  # the disk is busy, and the job is told as done
                    self.jobs[job_id]["status"] = "completed"
                    time.sleep(0.3)
                file.write(picture[len(picture) // 2 :])
            if self.fault == "crossed_files":
                time.sleep(0.003)
                own = self.folder / f"{job_id}.png"
                own.write_bytes(path.read_bytes())
                return own
            return path
        part, path = self.folder / f"{job_id}.part", self.folder / f"{job_id}.png"
        part.write_bytes(picture)
        part.rename(path)
        return path

    def call_back(self, job: dict[str, Any]) -> None:
        if self.fault == "silent" and self.painting:
            return
        told, picture = dict(job), Path(job["file"]).read_bytes()
        if self.fault == "crossed_callbacks" and self.painting:
            others = [one for one in self.jobs.values() if "file" in one and one is not job]
            picture = Path(others[-1]["file"]).read_bytes() if others else picture
        for _ in range(2 if self.fault == "tells_twice" and self.painting else 1):
            post_form(told, picture)


def post_form(job: dict[str, Any], picture: bytes) -> None:
    mark = uuid.uuid4().hex
    fields = {"job_id": job["job_id"], "status": "completed", "completed_at": job["completed_at"]}
    body = b"".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="i.png"\r\nContent-Type: image/png\r\n\r\n'
    )
    body += head.encode() + picture + f"\r\n--{mark}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    if job.get("callback_secret"):
        headers["X-Callback-Secret"] = job["callback_secret"]
    urllib.request.urlopen(urllib.request.Request(job["callback_url"], body, headers), timeout=10).close()


class Door(BaseHTTPRequestHandler):
    """The routes."""

    protocol_version = "HTTP/1.1"
    studio: Studio

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.studio.accept(job):
            return self.answer(409, {"accepted": False, "message": "this job is there already"})
        return self.answer(201 if job.get("job_type") else 200, {"accepted": True, "job_id": job["job_id"]})

    def do_GET(self) -> None:
        what, _, job_id = self.path.rpartition("/")
        job = self.studio.jobs.get(job_id)
        if self.path in ("/", "/health"):
            self.answer(200, {"status": "healthy", "services": {}})
        elif job is None:
            self.answer(404, {"error": "there is no such job"})
        elif what.endswith("result"):
            self.answer(200, Path(job["file"]).read_bytes())
        else:
            self.answer(200, {"status": job["status"], "completed_at": job.get("completed_at")})

    def answer(self, status: int, what: Any) -> None:
        body = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "image/png" if isinstance(what, bytes) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """As many connections at once as a stress run opens."""

    request_queue_size = 256
    daemon_threads = True


def serve(fault: str) -> Server:
    """A server on a free port of loopback, in a thread."""
    door = type("StudioDoor", (Door,), {"studio": Studio(fault)})
    server = Server(("127.0.0.1", 0), door)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


if __name__ == "__main__":
    running = serve(sys.argv[1] if len(sys.argv) > 1 else "")
    sys.stdout.write(f"{running.server_address[1]}\n")
    sys.stdout.flush()
    threading.Event().wait()
