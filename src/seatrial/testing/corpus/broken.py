"""One fault each, over all layouts; those that only a trial can find are in later.py."""

from __future__ import annotations

import gzip
import pickle

from seatrial.testing.corpus.case import Case, tar_of
from seatrial.testing.corpus.later import LATER
from seatrial.testing.corpus.parts import (
    CLASS,
    FUNCTIONS,
    LFS,
    SAMPLE,
    TOML,
    elf,
    faiss_flat,
    harmful,
    harmful_pickle,
    npy,
    npz,
    onnx,
    python,
    safetensors,
    sagemaker,
    torch_zip,
)

LAMBDA_TOML = "[package]\nlayout = 'aws_lambda'\nhandler = 'app.handler'\n"
LAMBDA = "def handler(event, context):\n    return event\n"
RUNPOD = (
    "import runpod\n\n\ndef handler(job):\n    return job['input']\n\n\nrunpod.serverless.start({'handler': handler})\n"
)
COG = """\
from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def setup(self):
        self.model = 1

    def predict(self, text: str = Input(description="any")) -> str:
        return text
"""
HTTP_TOML = "[package]\nlayout = 'http'\ncommand = ['./serve']\n"
SERVE = "#!/bin/sh\nexec python -m http.server $PORT\n"
GZIP_OF_ZEROS = 120 * 1024 * 1024


def _archive(name: str, *members: tuple[str, bytes, dict[str, object]]) -> Case:
    return Case(name, "sagemaker", finding="archive", archive=lambda: tar_of(*members))


def _zip_bomb() -> bytes:
    return tar_of(("code/inference.py", FUNCTIONS.encode(), {}), ("zeros.bin", bytes(GZIP_OF_ZEROS), {}))


ARCHIVES = (
    _archive("traversal", ("../evil.py", b"", {})),
    _archive("absolute-name", ("/etc/cron.d/evil", b"", {})),
    _archive("link-out", ("code/x", b"", {"type": b"2", "linkname": "../../etc/passwd"})),
    _archive("device", ("code/null", b"", {"type": b"3", "devmajor": 1, "devminor": 3})),
    _archive("fifo", ("code/pipe", b"", {"type": b"6"})),
    _archive("setuid", ("code/run", b"#!", {"mode": 0o4755})),
    _archive("twice", ("code/inference.py", b"1", {}), ("code/inference.py", b"2", {})),
    _archive("one-folder-too-deep", ("model/code/inference.py", FUNCTIONS.encode(), {})),
    Case("bomb", "sagemaker", finding="archive", archive=_zip_bomb),
    Case("cut-off", "sagemaker", finding="archive", archive=lambda: tar_of(("a", bytes(range(256)) * 99, {}))[:200]),
    Case("damaged-gzip", "sagemaker", finding="archive", archive=lambda: _flipped(tar_of(("a", b"1" * 999, {})))),
    Case("a-web-page", "sagemaker", finding="archive", archive=lambda: b"<!DOCTYPE html><html>Sign in</html>"),
    Case("gzip-of-no-tar", "sagemaker", finding="archive", archive=lambda: gzip.compress(b"weights" * 999)),
    Case("empty", "sagemaker", finding="archive"),
)


def _flipped(whole: bytes) -> bytes:
    middle = len(whole) - 6
    return whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]


def _weights(name: str, file: str, content: bytes, finding: str, level: str = "error", strict: bool = False) -> Case:
    return Case(name, "sagemaker", {**sagemaker(), file: content}, finding=finding, level=level, strict=strict)


WEIGHTS = (
    _weights("lfs-pointer", "model.safetensors", LFS, "placeholders"),
    _weights("lfs-pointer-without-suffix", "weights/blob", LFS, "placeholders"),
    _weights("annex-pointer", "model.bin", b"/annex/objects/SHA256E-s5--abc\n", "placeholders"),
    _weights("empty-weights", "model.pt", b"", "placeholders"),
    _weights("a-sign-in-page-as-weights", "model.onnx", b"<!DOCTYPE html><html>", "placeholders"),
    _weights("safetensors-cut-off", "model.safetensors", safetensors(cut=5), "safetensors"),
    _weights("safetensors-header-damaged", "model.safetensors", safetensors(header=b"{oops"), "safetensors"),
    _weights("safetensors-header-too-long", "model.safetensors", b"\xff" * 64, "safetensors"),
    _weights("onnx-cut-off", "model.onnx", onnx(cut=6), "onnx"),
    _weights("onnx-external-data-missing", "model.onnx", onnx(external="model.onnx.data"), "onnx"),
    _weights("onnx-is-something-else", "model.onnx", b"PK\x03\x04" + bytes(60), "onnx"),
    _weights("npy-cut-off", "a.npy", npy(cut=3), "npy"),
    _weights("npz-cut-off", "embeddings.npz", npz(a=npy())[:-30], "npz"),
    _weights("npz-with-a-short-array", "embeddings.npz", npz(a=npy(cut=4)), "npz"),
    _weights("faiss-cut-off", "faiss_index.index", faiss_flat(cut=10), "faiss"),
    _weights("faiss-is-something-else", "items.faiss", b"not an index at all, is it", "faiss"),
    _weights("gguf-is-something-else", "model.gguf", b"GGML" + bytes(40), "gguf"),
    _weights("torch-cut-off", "model.pth", torch_zip(cut=40), "torch_zip"),
    _weights("torch-is-another-zip", "model.pt", npz(a=npy()), "torch_zip"),
    _weights("pickle-cut-off", "metadata.pkl", pickle.dumps({"a": list(range(500))})[:-9], "pickles"),
    _weights("pickle-runs-a-command", "metadata.pkl", harmful_pickle(), "pickles", "warning"),
    _weights("pickle-refused-when-strict", "metadata.pkl", harmful_pickle(2), "pickles", strict=True),
    _weights("torch-file-runs-a-command", "model.pt", torch_zip(harmful()), "pickles", "warning"),
    _weights("gzipped-pickle-runs-a-command", "m.pkl", gzip.compress(harmful_pickle()), "pickles", "warning"),
    _weights(
        "shard-missing",
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "model-00001.safetensors", "b": "model-00002.safetensors"}}',
        "shards",
    ),
    _weights("private-key", "certs/server.pem", b"-----BEGIN PRIVATE KEY-----\n", "secret_files", "warning"),
    _weights("dot-env", ".env", b"TOKEN=hunter2\n", "secret_files", "warning"),
)


def _sagemaker(name: str, code: str, finding: str, level: str = "error", **more: str | bytes) -> Case:
    return Case(name, "sagemaker", sagemaker(code, **more), finding=finding, level=level)


ENTRY_POINTS = (
    Case("no-entry-point", "sagemaker", {"code/other.py": "", "samples/a.json": SAMPLE}, finding="entry_point"),
    Case("entry-point-at-the-root", "sagemaker", {"inference.py": FUNCTIONS}, finding="entry_point"),
    _sagemaker("entry-point-is-no-python", "def model_fn(:\n", "entry_point"),
    _sagemaker("no-model-fn", "def predict_fn(data, model): ...\n", "sagemaker_functions"),
    _sagemaker("no-predict-fn", "def model_fn(model_dir): ...\n", "sagemaker_functions"),
    _sagemaker("wrong-arity", FUNCTIONS.replace("(data, model)", "(data)"), "sagemaker_functions"),
    _sagemaker("async-handler", FUNCTIONS.replace("def predict", "async def predict"), "sagemaker_functions"),
    _sagemaker(
        "rivals", FUNCTIONS + "\n\ndef transform_fn(model, data, content_type, accept): ...\n", "sagemaker_functions"
    ),
    Case("python-module-missing", "python", {**python(), "seatrial.toml": TOML.replace("handler:", "handlr:")},
         finding="entry_point"),
    Case("python-class-missing", "python", python(toml=TOML.replace(":Handler", ":Handlr")), finding="python_handler"),
    Case("python-method-missing", "python", python(CLASS.replace("echo", "ecco")), finding="python_handler"),
    Case("python-field-not-taken", "python", python(CLASS.replace("text)", "txt)")), finding="python_handler"),
    Case("lambda-module-missing", "aws_lambda", {"seatrial.toml": LAMBDA_TOML, "main.py": LAMBDA},
         finding="entry_point"),
    Case("lambda-function-missing", "aws_lambda",
         {"seatrial.toml": LAMBDA_TOML, "app.py": LAMBDA.replace("handler", "main")}, finding="lambda_function"),
    Case("lambda-arity", "aws_lambda",
         {"seatrial.toml": LAMBDA_TOML, "app.py": LAMBDA.replace("(event, context)", "(event)")},
         finding="lambda_function"),
    Case("lambda-import-missing", "aws_lambda", {"seatrial.toml": LAMBDA_TOML, "app.py": "import detector\n" + LAMBDA},
         finding="imports"),
    Case("runpod-never-starts", "runpod",
         {"handler.py": "def handler(job):\n    return 1\n", "seatrial.toml": "[package]\nlayout = 'runpod'\n"},
         finding="runpod_handler"),
    Case("runpod-arity", "runpod", {"handler.py": RUNPOD.replace("(job)", "(job, context)"),
                                    "requirements.txt": "runpod==1.12.0\n"}, finding="runpod_handler"),
    Case("runpod-handler-undefined", "runpod",
         {"handler.py": RUNPOD.replace("def handler", "def handle"), "requirements.txt": "runpod==1.12.0\n"},
         finding="runpod_handler"),
    Case("runpod-not-required", "runpod", {"handler.py": RUNPOD}, finding="imports"),
    Case("cog-file-missing", "cog", {"cog.yaml": "predict: predict.py:Predictor\n"}, finding="entry_point"),
    Case("cog-class-missing", "cog", {"cog.yaml": "predict: predict.py:Model\n", "predict.py": COG,
                                      "requirements.txt": "cog==0.23.0\n"}, finding="cog_predictor"),
    Case("cog-without-types", "cog", {"cog.yaml": "predict: predict.py:Predictor\n",
                                      "predict.py": COG.replace(": str = Input(description=\"any\")", ""),
                                      "requirements.txt": "cog==0.23.0\n"}, finding="cog_predictor"),
    Case("http-not-executable", "http", {"seatrial.toml": HTTP_TOML, "serve": SERVE}, finding="start_command"),
    Case("http-crlf-shebang", "http", {"seatrial.toml": HTTP_TOML, "serve": SERVE.replace("\n", "\r\n").encode()},
         finding="start_command", executable=frozenset({"serve"})),
    Case("http-wrong-machine", "http", {"seatrial.toml": HTTP_TOML, "serve": elf(machine=243)},
         finding="start_command", executable=frozenset({"serve"})),
    Case("http-no-shebang", "http", {"seatrial.toml": HTTP_TOML, "serve": "exec python x.py\n"},
         finding="start_command", executable=frozenset({"serve"})),
    Case("http-program-missing", "http", {"seatrial.toml": HTTP_TOML}, finding="start_command"),
    Case("http-console-script-not-required", "http",
         {"seatrial.toml": "[package]\nlayout = 'http'\ncommand = ['gunicorn', 'app:app']\n", "app.py": "app = 1\n"},
         finding="start_command"),
    Case("http-application-missing", "http",
         {"seatrial.toml": "[package]\nlayout = 'http'\ncommand = ['gunicorn', 'app:application']\n",
          "app.py": "app = 1\n", "requirements.txt": "gunicorn==23.0.0\n"}, finding="start_command"),
)  # fmt: skip

IMPORTS = (
    _sagemaker("missing-module", "from stygig.core.color_logic import ColorProcessor\n" + FUNCTIONS, "imports"),
    _sagemaker("missing-module-transitive", "import local\n" + FUNCTIONS, "imports", code__local_dot_py="import gone\n"),
    _sagemaker("module-not-on-the-path", "import stygig\n" + FUNCTIONS, "imports", src__stygig____init___dot_py=""),
    _sagemaker("missing-submodule", "import local.inner\n" + FUNCTIONS, "imports", code__local____init___dot_py=""),
    _sagemaker("missing-name", "from local import answr\n" + FUNCTIONS, "imports", code__local_dot_py="answer = 42\n"),
    _sagemaker("relative-import-at-the-top", "from .local import x\n" + FUNCTIONS, "imports", code__local_dot_py="x=1\n"),
    _sagemaker("import-in-model-fn", FUNCTIONS.replace("    return {", "    import gone\n    return {"), "imports"),
    _sagemaker("path-edit-too-late", "import lib2\nimport sys\nsys.path.append('/opt/ml/model/src')\n" + FUNCTIONS,
               "imports", src__lib2_dot_py=""),
    _sagemaker("fallback-missing-too", "try:\n    import fast\nexcept ImportError:\n    import slow\n" + FUNCTIONS, "imports"),
    _sagemaker("fallback-gives-up", "try:\n    import fast\nexcept ImportError as error:\n    raise SystemExit from error\n"
               + FUNCTIONS, "imports"),
    _sagemaker("import-by-name", "import importlib\nMODEL = importlib.import_module('models.unet')\n" + FUNCTIONS, "imports"),
    _sagemaker("installed-only-here", "import typing_inspection_of_nobody\n" + FUNCTIONS, "imports"),
    _sagemaker("module-is-no-python", "import local\n" + FUNCTIONS, "syntax", code__local_dot_py="def f(:\n"),
    Case("too-new-for-the-target", "sagemaker",
         sagemaker("match 1:\n    case _:\n        pass\n" + FUNCTIONS), finding="syntax", python="3.9"),
    Case("library-not-in-the-target", "sagemaker", sagemaker("import tomllib\n" + FUNCTIONS), finding="imports",
         python="3.9"),
    _sagemaker("shadows-the-standard-library", "import types\n" + FUNCTIONS, "shadowing", "warning",
               code__types_dot_py="X = 1\n"),
    _sagemaker("shadows-a-requirement", "import numpy\n" + FUNCTIONS, "shadowing", "warning",
               code__numpy____init___dot_py="", code__requirements_dot_txt="numpy==2.2.0\n"),
    _sagemaker("extension-for-another-python", "import fast\n" + FUNCTIONS, "extension_modules", "error", **{
               "code/fast.cpython-36m-x86_64-linux-gnu.so": elf()}),
    _sagemaker("extension-for-another-machine", "import fast\n" + FUNCTIONS, "extension_modules", "error", **{
               "code/fast.abi3.so": elf(machine=243)}),
    _sagemaker("mock-fallback", "try:\n    import json as real\nexcept Exception:\n    real = MockModel()\n" + FUNCTIONS,
               "stand_ins", "warning"),
    _sagemaker("path-of-another-machine", "W = '/runpod-volume/weights.bin'\n" + FUNCTIONS, "hard_coded_paths", "warning"),
    _sagemaker("file-that-the-package-lacks", "W = '/opt/ml/model/weights.bin'\n" + FUNCTIONS, "hard_coded_paths", "warning"),
)  # fmt: skip


def _required(name: str, lines: str, finding: str, level: str = "error", toml: str = "") -> Case:
    files = {**sagemaker(), "code/requirements.txt": lines}
    return Case(name, "sagemaker", {**files, "seatrial.toml": toml} if toml else files, finding=finding, level=level)


REQUIREMENTS = (
    _required("requirement-with-one-equals-sign", "numpy=1.26.4\n", "requirements"),
    _required("requirement-with-a-bad-version", "numpy==1.2.x.y\n", "requirements"),
    _required("requirement-named-like-its-module", "sklearn==1.3.0\n", "requirements"),
    _required("requirement-twice", "numpy==1.26.4\nnumpy==2.0.0\n", "requirements"),
    _required("requirements-include-what-is-missing", "-r base.txt\n", "requirements"),
    Case("requirements-in-utf-16", "sagemaker",
              {**sagemaker(), "code/requirements.txt": "numpy==1.26.4\n".encode("utf-16")}, finding="requirements"),
    _required("unpinned", "numpy\n", "pins", "warning"),
    _required("cuda-build-for-the-cpu", "torch==2.5.1+cu121\n", "device", "warning", "[worker]\ndevice = 'cpu'\n"),
    _required("cpu-build-for-cuda", "faiss-cpu==1.9.0\n", "device", "error", "[worker]\ndevice = 'cuda'\n"),
)  # fmt: skip


def _toml(name: str, toml: str, finding: str = "contract", **more: str | bytes) -> Case:
    return Case(name, "python", {**python(toml=toml), **more}, finding=finding)


PICTURE: dict[str, str | bytes] = {
    "samples/a.jpg": b"\xff\xd8\xff\xe0" + bytes(60),
    "handler.py": CLASS.replace("text)", "text, photo=None)"),
}

CONTRACTS = (
    _toml("contract-is-no-toml", "[package\n"),
    _toml("contract-with-an-unknown-key", TOML.replace("required", "requird")),
    _toml("contract-with-a-type-that-is-none", TOML.replace('"string"', '"text"')),
    _toml("alias-means-two-tasks", TOML.replace("[tasks.echo]\n", "[tasks.echo]\naliases = ['other']\n[tasks.other]\n")),
    _toml("sample-file-missing", TOML.replace("a.json", "b.json")),
    _toml("sample-is-no-json", TOML, **{"samples/a.json": "{"}),
    _toml("no-sample", TOML[: TOML.index("[[")], "samples"),
    _toml("sample-lacks-a-field", TOML, "sample_inputs", **{"samples/a.json": "{}"}),
    _toml("sample-breaks-the-schema", TOML, "sample_inputs", **{"samples/a.json": '{"text": 5}'}),
    _toml("sample-is-too-long", TOML, "sample_inputs", **{"samples/a.json": '{"text": "' + "x" * 21 + '"}'}),
    _toml("sample-with-an-unknown-field", TOML, "sample_inputs", **{"samples/a.json": '{"text": "a", "txt": "b"}'}),
    _toml("sample-for-another-task", TOML, **{"samples/a.json": '{"task": "ecco", "text": "a"}'}),
    _toml("picture-of-another-format",
          TOML.replace('[[tasks.echo.samples]]\ninput = "samples/a.json"',
                       '[tasks.echo.input.photo]\ntype = "image"\nformats = ["png"]\n'
                       '[[tasks.echo.samples]]\ninput = "samples/a.json"\nfiles = { photo = "samples/a.jpg" }'),
          "sample_inputs", **PICTURE),
    _toml("weights-without-a-hash", TOML + "\n[[weights]]\npath = 'w.bin'\nuri = 's3://b/w.bin'\n"),
)  # fmt: skip

BROKEN = (*ARCHIVES, *WEIGHTS, *ENTRY_POINTS, *IMPORTS, *REQUIREMENTS, *CONTRACTS, *LATER)
