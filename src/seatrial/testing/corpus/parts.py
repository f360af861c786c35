"""What the packages of the corpus are put together from: handlers, contracts, and weights made byte by byte."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

FUNCTIONS = """\
def model_fn(model_dir):
    return {"dir": model_dir}


def predict_fn(data, model):
    return data
"""
SAMPLE = '{"text": "ahoy"}'
TOML = """\
[package]
handler = "handler:Handler"

[tasks.echo]
[tasks.echo.input.text]
type = "string"
required = true
max_length = 20
[[tasks.echo.samples]]
input = "samples/a.json"
"""
CLASS = """\
class Handler:
    def echo(self, text):
        return {"text": text}
"""
SERVER = """\
import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answering).serve_forever()
"""
WSGI = """\
def make():
    def answer(environ, start):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return answer
"""
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4823001\n"


def sagemaker(code: str = FUNCTIONS, **more: str | bytes) -> dict[str, str | bytes]:
    """SageMaker's layout. Names are given with '__' for '/' and '_dot_' for '.'."""
    return {"code/inference.py": code, "samples/a.json": SAMPLE, **_named(more)}


def python(code: str = CLASS, toml: str = TOML, **more: str | bytes) -> dict[str, str | bytes]:
    """Seatrial's own layout."""
    return {"handler.py": code, "seatrial.toml": toml, "samples/a.json": SAMPLE, **_named(more)}


def _named(more: Mapping[str, str | bytes]) -> dict[str, str | bytes]:
    return {_path(name): content for name, content in more.items()}


def _path(name: str) -> str:
    marked = name.replace("__init__", "\0").replace("__", "/").replace("_dot_", ".")
    return marked.replace("\0", "__init__")


def safetensors(elements: int = 6, *, cut: int = 0, header: bytes | None = None) -> bytes:
    """One float32 tensor; `cut` bytes are missing at its end."""
    entry = {"w": {"dtype": "F32", "shape": [elements], "data_offsets": [0, 4 * elements]}}
    text = json.dumps(entry).encode() if header is None else header
    whole = struct.pack("<Q", len(text)) + text + bytes(4 * elements)
    return whole[: len(whole) - cut]


def npy(shape: tuple[int, ...] = (2, 3), *, kind: str = "<f4", cut: int = 0) -> bytes:
    """An array of zeros in NumPy's format, version 1."""
    header = repr({"descr": kind, "fortran_order": False, "shape": shape})
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    size = int(kind[2:]) * (4 if kind[1] == "U" else 1)
    for one in shape:
        size *= one
    whole = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(size)
    return whole[: len(whole) - cut]


def npz(**arrays: bytes) -> bytes:
    """A `.npz` of arrays."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return made.getvalue()


def faiss_flat(vectors: int = 3, dimension: int = 4, *, cut: int = 0) -> bytes:
    """A flat FAISS index of zeros."""
    head = struct.pack("<4siqqq?i", b"IxF2", dimension, vectors, 1 << 20, 1 << 20, True, 1)
    whole = head + struct.pack("<Q", vectors * dimension) + bytes(4 * vectors * dimension)
    return whole[: len(whole) - cut]


def onnx(*, external: str | None = None, cut: int = 0) -> bytes:
    """A model with one initializer, which may lie in another file."""
    tensor = _message(8, b"w") + b"\x10\x01"
    if external is None:
        tensor += _message(9, bytes(4))
    else:
        tensor += _message(13, _message(1, b"location") + _message(2, external.encode())) + b"\x70\x01"
    graph = _message(5, tensor) + _message(2, b"g")
    whole = b"\x08\x08" + _message(2, b"corpus") + _message(7, graph) + _message(8, b"\x10\x11")
    return whole[: len(whole) - cut]


def _message(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def torch_zip(state: object = None, *, cut: int = 0) -> bytes:
    """What torch.save writes, without tensors."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(state or {"w": [1.0]}, protocol=2))
        archive.writestr("model/version", "3\n")
        archive.writestr("model/data/0", bytes(64))
    whole = made.getvalue()
    return whole[: len(whole) - cut]


class _Runs:
    """Pickled, it asks for a call when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._reduced


def harmful() -> object:
    """Something whose pickle would run a command; it is never loaded."""
    return _Runs(os.system, "true")


def harmful_pickle(protocol: int = 4) -> bytes:
    """Its pickle."""
    return pickle.dumps(harmful(), protocol=protocol)


def elf(machine: int = 62) -> bytes:
    """The header of a 64-bit little-endian ELF file; 62 is x86-64, 183 is AArch64."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44)
