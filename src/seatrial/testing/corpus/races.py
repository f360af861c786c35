"""Handlers with one planted race each, every one beside a twin without it; and correct ones whose answers vary.

A worker does one piece of work after another, so a race is between a handler and its own threads, between a job and
what the one before left running, or between the workers that share a file outside of their private folders.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.testing.corpus.case import Case, Content

HEAD = """\
import base64, json, os, queue, random, tempfile, threading, time, uuid
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path


def encoded(content):
    return base64.b64encode(bytes(content)).decode()


"""
TOML = """\
[package]
handler = "model:Model"

[tasks.draw.input.text]
type = "string"
required = true

[[tasks.draw.samples]]
name = "one"
input = "samples/one.json"

[[tasks.draw.samples]]
name = "two"
input = "samples/two.json"
"""

# Two threads paint a picture's sky and ground into one buffer. The planted fault: it waits for the quicker one.
SHARED_BUFFER = """
ROWS, COLUMNS = 32, 64
frame = bytearray(ROWS * COLUMNS)
pool = ThreadPoolExecutor(2)


def paint(rows, shade):
    for row in rows:
        frame[row * COLUMNS : (row + 1) * COLUMNS] = bytes([shade]) * COLUMNS
        time.sleep(0.0003)


class Model:
    def draw(self, text):
        shade = ord(text[0]) + len(text)
        parts = [pool.submit(paint, range(8), shade), pool.submit(paint, range(8, 32), shade)]
        wait(WAITED)
        return {"picture": encoded(frame)}
"""

# A thread goes on after the answer, and writes into what the next job answers.
LATE_THREAD = """
frame = bytearray(256)


def preview(letters, target):
    time.sleep(0.004)
    target[:] = bytes(letters[at % len(letters)] for at in range(len(target)))


class Model:
    def draw(self, text):
        frame[:] = text.encode() * (256 // len(text)) + bytes(256 % len(text))
        before = bytes(frame)
        threading.Thread(target=preview, args=(text.encode(), TARGET)).start()
        time.sleep(0.003)
        return {"picture": encoded(FRAME)}
"""

# Workers share a file of a fixed name. The twin writes a file of its own and renames it.
SHARED_FILE = """
FILE = Path("/dev/shm") / "seatrial-corpus-drawing.json"


def save(words, path):
    with path.open("w") as file:
        for word in words:
            file.write(word + "\\n")
            file.flush()
            time.sleep(0.001)


class Model:
    def draw(self, text):
        path = PATH
        save([text[0] * 20] * 8, path)
        lines = path.read_text().splitlines()
        DONE
        return {"lines": lines}
"""

# A thread writes a file, and after the answer a thumbnail of it. The planted fault: the file is not waited for.
FILE_READ_TOO_EARLY = """
writer = ThreadPoolExecutor(1)
FOLDER = Path(tempfile.gettempdir())


def save(name, text):
    with (FOLDER / name).open("w") as file:
        file.write(text * 20 + "\\n")
        time.sleep(0.0005)
        file.write(text * 20 + "\\n")


class Model:
    def draw(self, text):
        written = writer.submit(save, "drawing.txt", text)
        WAITING
        lines = (FOLDER / "drawing.txt").read_text().splitlines()
        writer.submit(time.sleep, 0.05)
        return {"lines": lines}
"""

# A renderer thread takes a request from a slot and leaves its answer in another one, without saying whose it is.
UNSYNCHRONISED_STATE = """
class Renderer(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.wanted, self.ready = threading.Event(), threading.Event()
        self.text, self.answer = "", "nothing yet"
        self.start()

    def run(self):
        while True:
            self.wanted.wait()
            self.wanted.clear()
            text = self.text
            time.sleep(random.uniform(0.001, 0.006))
            self.answer = " ".join(text.upper())
            self.ready.set()


renderer = Renderer()


class Model:
    def draw(self, text):
        renderer.ready.clear()
        renderer.text = text
        renderer.wanted.set()
        renderer.ready.wait(SECONDS)
        return {"said": renderer.answer}
"""

# Threads count into one histogram, and seldom at the same moment. The planted fault: no lock.
LOST_UPDATES = """
from contextlib import nullcontext

lock = threading.Lock()
pool = ThreadPoolExecutor(2)
bins = [0] * 16


def count(pixels, is_held_up):
    for pixel in pixels:
        with GUARD:
            seen = bins[pixel]
            if is_held_up:
                time.sleep(0.0005)
            bins[pixel] = seen + 1


class Model:
    def draw(self, text):
        bins[:] = [0] * len(bins)
        pixels = [(ord(text[at % len(text)]) + at) % len(bins) for at in range(64)]
        is_held_up = random.random() < 0.1
        wait([pool.submit(count, pixels[part::2], is_held_up) for part in range(2)])
        return {"histogram": bins}
"""


def _case(name: str, code: str, stage: str, **words: str) -> Case:
    for word, meant in words.items():
        code = code.replace(word, meant)
    files: dict[str, Content] = {
        "seatrial.toml": TOML,
        "model.py": HEAD + code,
        "samples/one.json": '{"text": "one"}',
        "samples/two.json": '{"text": "two two"}',
    }
    return Case(name, "python", files, stage)


def _model(body: str) -> str:
    return f"class Model:\n    def draw(self, text):\n        {body}\n"


RACES = (
    _case("race-shared-buffer", SHARED_BUFFER, "drill", WAITED="parts[:1]"),
    _case("race-thread-after-the-answer", LATE_THREAD, "drill", TARGET="frame", FRAME="frame"),
    _case("race-shared-file", SHARED_FILE, "drill", PATH="FILE", DONE="pass"),
    _case("race-file-read-too-early", FILE_READ_TOO_EARLY, "drill", WAITING="time.sleep(0.01)"),
    _case("race-unsynchronised-state", UNSYNCHRONISED_STATE, "drill", SECONDS="0.005"),
    _case("race-lost-updates", LOST_UPDATES, "drill", GUARD="nullcontext()"),
)
TWINS = (
    _case("buffer-waited-for", SHARED_BUFFER, "", WAITED="parts"),
    _case("thread-with-its-own-buffer", LATE_THREAD, "", TARGET="bytearray(256)", FRAME="before"),
    _case("file-of-its-own", SHARED_FILE, "", PATH="Path(tempfile.mkdtemp()) / 'drawing'", DONE="path.unlink()"),
    _case("file-waited-for", FILE_READ_TOO_EARLY, "", WAITING="written.result()"),
    _case("state-handed-over", UNSYNCHRONISED_STATE, "", SECONDS="60"),
    _case("updates-under-a-lock", LOST_UPDATES, "", GUARD="lock"),
)
VARYING: Mapping[str, str] = {
    "noise": _model('return {"said": text, "noise": [random.random() for _ in range(4)], "id": str(uuid.uuid4())}'),
    "coin": _model('return {"label": random.choice(["cat", "dog"]), "said": text}'),
    "rare-label": _model('return {"label": "dog" if random.random() < 0.05 else "cat", "said": text}'),
    "name-of-the-worker": "WORKER = str(uuid.uuid4())\n\n\n"
    + _model('return {"said": text, "worker": WORKER, "pid": os.getpid()}'),
    "order-of-a-set": _model('return {"letters": list({"alpha-" + text, "beta-" + text})}'),
    "rounded": _model('return {"said": text, "norm": 3.0 + random.random() * 1e-6}'),
    "times": _model('return {"said": text, "seconds": time.perf_counter() % 1, "timing": {"load": time.time()}}'),
    "cached": "cache = {}\n\n\n" + _model('return {"said": cache.setdefault(text, " ".join(text.upper()))}'),
    "two-pictures": _model('return {"picture": encoded(bytes([random.choice([10, 200])]) * 99)}'),
}
VARIES = tuple(_case(f"varies-{name}", code, "") for name, code in VARYING.items())
CORRECT = (*TWINS, *VARIES)
