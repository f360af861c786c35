"""Packages that load and serve, each of a structure that a careless check would stumble over."""

from __future__ import annotations

import collections
import datetime
import gzip
import pickle

from seatrial.testing.corpus.broken import COG, LAMBDA, RUNPOD
from seatrial.testing.corpus.case import Case, Content, tar_of
from seatrial.testing.corpus.parts import (
    CLASS,
    FUNCTIONS,
    SAMPLE,
    SERVER,
    TOML,
    WSGI,
    elf,
    faiss_flat,
    npy,
    npz,
    onnx,
    python,
    safetensors,
    sagemaker,
    torch_zip,
)
from seatrial.testing.corpus.races import CORRECT

IMPORT_PKG = "from pkg import answer\n"
PKG: dict[str, Content] = {"src/pkg/__init__.py": "answer = 42\n"}


def _code(name: str, code: str, untried: str = "", **files: Content) -> Case:
    return Case(name, "sagemaker", sagemaker(code + FUNCTIONS, **files), stage="", untried=untried)


def _src(name: str, edit: str) -> Case:
    """The package lies in src/, which the handler puts on sys.path itself."""
    return Case(name, "sagemaker", {**sagemaker(edit + IMPORT_PKG + FUNCTIONS), **PKG}, stage="")


PATHS = (
    _src("path-by-os-path", "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'src'))\n"),
    _src("path-by-pathlib", "import sys\nfrom pathlib import Path\nROOT = Path(__file__).resolve().parents[1]\n"
         "sys.path.append(str(ROOT / 'src'))\n"),
    _src("path-behind-a-guard", "import os, sys\nSRC = os.path.abspath(os.path.join(os.path.dirname(__file__), '../src'))\n"
         "if SRC not in sys.path:\n    sys.path.insert(0, SRC)\n"),
    _src("path-in-a-loop", "import os, sys\nHERE = os.path.dirname(os.path.realpath(__file__))\n"
         "for folder in ('.', '../src'):\n    sys.path.append(os.path.join(HERE, folder))\n"),
    _src("path-of-sagemaker", "import sys\nsys.path.insert(0, '/opt/ml/model/src')\n"),
    _src("path-from-a-variable", "import os, sys\nsys.path.insert(0, os.path.join(os.environ['SM_MODEL_DIR'], 'src'))\n"),
    _src("path-if-it-is-there", "import os, sys\nif os.path.exists('/opt/ml/model/src'):\n"
         "    sys.path.insert(0, '/opt/ml/model/src')\n"),
    _src("path-list-replaced", "import sys\nsys.path[:0] = ['/opt/ml/model/src']\n"),
    _src("path-by-site", "import site\nfrom pathlib import Path\nsite.addsitedir(str(Path(__file__).parent.parent / 'src'))\n"),
    Case("path-by-pythonpath", "sagemaker",
         {**sagemaker(IMPORT_PKG + FUNCTIONS), **PKG, "seatrial.toml": "[env]\nPYTHONPATH = '/opt/ml/model/src'\n"}, stage=""),
    Case("path-in-model-fn", "sagemaker",
         {**sagemaker("import os\nimport sys\n\n\ndef model_fn(model_dir):\n"
                      "    sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'src'))\n"
                      "    import pkg\n    return pkg\n\n\ndef predict_fn(data, model):\n    return data\n"), **PKG}, stage=""),
)  # fmt: skip

IMPORTS = (
    _code("fallback", "try:\n    import fast_json_of_nobody as json\nexcept ImportError:\n    import json\n"),
    _code("fallback-to-nothing", "try:\n    import cupy\nexcept ImportError:\n    cupy = None\n"),
    _code("fallback-to-an-absolute-import", "try:\n    from .local import x\nexcept ImportError:\n    from local import x\n",
          code__local_dot_py="x = 1\n"),
    _code("only-for-type-checkers", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nobodys_types\n"),
    _code("only-if-it-is-found", "import importlib.util\nif importlib.util.find_spec('apex') is not None:\n    import apex\n"),
    _code("suppressed", "import contextlib\nwith contextlib.suppress(ImportError):\n    import apex\n"),
    _code("by-version", "import sys\nif sys.version_info >= (3, 8):\n    import json\nelse:\n    import simplejson as json\n"),
    _code("by-platform", "import sys\nif sys.platform == 'win32':\n    import pywin32_of_nobody\n"),
    _code("only-as-a-script", "if __name__ == '__main__':\n    import fire_of_nobody\n"),
    _code("namespace-package", "import space.inner\n", code__space__inner_dot_py=""),
    _code("vendored", "import vendored.deep\n", code__lib__vendored____init___dot_py="", code__lib__vendored__deep_dot_py=""),
    _code("circular", "import a\n", code__a_dot_py="import b\nX = 1\n", code__b_dot_py="import a\nY = 2\n"),
    _code("re-exported", "from pkg import answer, helper\n",
          code__pkg____init___dot_py="from .inner import *\nfrom . import helper\n", code__pkg__helper_dot_py="",
          code__pkg__inner_dot_py="__all__ = ['answer']\nanswer = 42\n"),
    _code("lazy-attributes", "from pkg import made_later\n",
          code__pkg____init___dot_py="def __getattr__(name):\n    return name\n"),
    _code("names-by-loop-and-match", "from local import index, found, handle\n",
          code__local_dot_py="for index in range(3):\n    pass\nwith open('/dev/null') as handle:\n    pass\n"
          "if (found := 1):\n    pass\n"),
    _code("names-by-globals", "from local import made\n", code__local_dot_py="globals().update(made=1)\n"),
    _code("relative-inside-a-package", "import pkg.deep.leaf\n", code__pkg____init___dot_py="",
          code__pkg__deep____init___dot_py="from .. import top\n", code__pkg__top_dot_py="",
          code__pkg__deep__leaf_dot_py="from ..top import __name__ as name\nfrom . import twig\n", code__pkg__deep__twig_dot_py=""),
    _code("optional-in-a-function", "\n\ndef plot():\n    try:\n        import matplotlib_of_nobody\n    except ImportError:\n"
          "        return None\n\n\n"),
    _code("names-unlike-distributions", "import cv2, PIL.Image, sklearn, yaml, dateutil, google.cloud.storage, attr, ruamel.yaml\n",
          untried="its requirements are hundreds of megabytes",
          code__requirements_dot_txt="opencv-python-headless==4.10.0.84\nPillow==11.0.0\nscikit-learn==1.5.2\nPyYAML==6.0.2\n"
          "python-dateutil==2.9.0\ngoogle-cloud-storage==2.18\nattrs==24.2.0\nruamel.yaml==0.18.6\n"),
    _code("vendored-with-optional-parts", "import library\n", code__lib__library_dot_py=
          "W = '/home/its-author/x.bin'\n\n\ndef plot():\n    import matplotlib_of_nobody\n\n\ntry:\n    import json\nexcept ImportError:\n"
          "    json = mock_json\n"),
    _code("tests-are-not-imported", "", tests__test_handler_dot_py="import pytest_of_nobody\n"),
    _code("old-code-lies-about", "", legacy__old_dot_py="print 'Python 2'\n"),
    _code("compiled-for-several", "import fast\n", untried="its compiled modules are headers only", **{
        f"code/fast.cpython-{tag}-x86_64-linux-gnu.so": elf() for tag in ("39", "310", "311", "312", "313")}),
)  # fmt: skip

HANDLERS = (
    Case("transform-only", "sagemaker", sagemaker(
        "def model_fn(model_dir): ...\n\n\ndef transform_fn(model, input_data, content_type, accept):\n    return input_data\n"), stage=""),
    Case("functions-from-elsewhere", "sagemaker",
         sagemaker("from serving import model_fn, predict_fn\n", code__serving_dot_py=FUNCTIONS), stage=""),
    Case("functions-by-assignment", "sagemaker", sagemaker("model_fn = str\npredict_fn = lambda data, model: data\n"), stage=""),
    Case("functions-with-context", "sagemaker", sagemaker(
        "def model_fn(model_dir, context): ...\n\n\ndef predict_fn(data, model, context):\n    return data\n"), stage=""),
    Case("another-program", "sagemaker", {"seatrial.toml": "[env]\nSAGEMAKER_PROGRAM = 'serve.py'\n",
                                          "code/serve.py": FUNCTIONS, "samples/a.json": SAMPLE}, stage=""),
    Case("handler-is-a-function", "python",
         python("def handle(text, task):\n    return {'text': text, 'by': task}\n", TOML.replace(":Handler", ":handle")), stage=""),
    Case("handler-in-a-package", "python",
         {"seatrial.toml": TOML.replace("handler:", "models.serving.handler:"), "samples/a.json": SAMPLE,
          "models/serving/handler.py": CLASS}, stage=""),
    Case("handler-inherits", "python", python("from base import Base\n\n\nclass Handler(Base): ...\n", base_dot_py=
         CLASS.replace("Handler", "Base")), stage=""),
    Case("handler-takes-anything", "python", python("class Handler:\n    def echo(self, **fields):\n        return fields\n"), stage=""),
    Case("aliases-and-loose-names", "python",
         python(toml=TOML.replace("[tasks.echo]\n", "[tasks.echo]\naliases = ['say', 'repeat']\n")), stage=""),
    Case("lambda-in-a-folder", "aws_lambda",
         {"seatrial.toml": "[package]\nlayout = 'aws_lambda'\nhandler = 'functions/app.handler'\n",
          "functions/app.py": "import shared\n" + LAMBDA, "shared.py": "", "samples/a.json": SAMPLE}, stage=""),
    Case("runpod-generator", "runpod",
         {"handler.py": "import runpod\n\n\nasync def handler(job):\n    yield job['input']\n\n\n"
          "if __name__ == '__main__':\n    runpod.serverless.start({'handler': handler, 'return_aggregate_stream': True})\n",
          "requirements.txt": "runpod==1.12.0\n", "samples/a.json": SAMPLE}, stage=""),
    Case("runpod-in-src", "runpod", {"src/handler.py": "import utils\n" + RUNPOD, "src/utils.py": "",
                                     "requirements.txt": "runpod~=1.12.0\n", "samples/a.json": SAMPLE}, stage=""),
    Case("cog-class", "cog", {"cog.yaml": "build:\n  python_version: '3.11'\npredict: predict.py:Predictor\n",
                              "predict.py": COG, "requirements.txt": "cog==0.23.0\n", "samples/a.json": SAMPLE}, stage=""),
    Case("cog-function", "cog", {"cog.yaml": "predict: predict.py:predict\n", "samples/a.json": SAMPLE,
                                 "predict.py": "def predict(text: str) -> str:\n    return text\n"}, stage=""),
    Case("http-script", "http", {"seatrial.toml": "[package]\ncommand = ['./serve', '--quiet']\n", "samples/a.json": SAMPLE,
                                 "serve": "#!/usr/bin/env python3\n" + SERVER}, stage="", executable=frozenset({"serve"})),
    Case("http-python-module", "http", {"seatrial.toml": "[package]\ncommand = ['python', '-u', '-m', 'server']\n",
                                        "server.py": "import inner\n", "inner.py": SERVER, "samples/a.json": SAMPLE}, stage=""),
    Case("http-gunicorn", "http",
         {"seatrial.toml": "[package]\ncommand = ['gunicorn', '-b', '127.0.0.1:8080', '-w', '2', 'app:make()']\n", "samples/a.json": SAMPLE,
          "app.py": WSGI, "requirements.txt": "gunicorn==23.0.0\n"}, stage=""),
)  # fmt: skip

FILES = (
    Case("all-weights", "sagemaker", {
        **sagemaker(), "model.safetensors": safetensors(), "model.onnx": onnx(), "a.npy": npy(), "python2.npy": npy().replace(b"(2, 3)} ", b"(2L, 3)}"), "e.npz": npz(a=npy(), b=npy()),
        "faiss_index.index": faiss_flat(), "m.pth": torch_zip(), "strings.npy": npy((2,), kind="<U5"),
        "variables.index": b"\x00\x00\x02\x00tensorflow",
    }, stage=""),
    Case("harmless-pickles", "sagemaker", {
        **sagemaker(),
        "metadata.pkl": pickle.dumps(collections.OrderedDict(a=datetime.date(2024, 1, 1), b=[1.5, {"c": b"d"}])),
        "two.pkl": pickle.dumps([1]) + pickle.dumps([2]), "old.pkl": pickle.dumps({"a": "b"}, protocol=0),
        "packed.pkl": gzip.compress(pickle.dumps(list(range(9)))),
    }, stage="", strict=True),
    Case("external-data", "sagemaker", {**sagemaker(), "onnx/model.onnx": onnx(external="model.onnx.data"),
                                        "onnx/model.onnx.data": bytes(64)}, stage=""),
    Case("shards", "sagemaker", {**sagemaker(), "model-1.safetensors": safetensors(), "model.safetensors.index.json":
                                 b'{"metadata": {}, "weight_map": {"a": "model-1.safetensors"}}'}, stage=""),
    Case("shards-fetched", "python", {**python(toml=TOML + "\n[[weights]]\npath = 'w/model-1.safetensors'\nuri = 's3://b/w'\n"
         "sha256 = '" + "0" * 64 + "'\n"), "w/model.safetensors.index.json": b'{"weight_map": {"a": "model-1.safetensors"}}'},
         stage="", untried="its weights are in a bucket of somebody else"),
    Case("links-inside", "sagemaker", sagemaker(), stage="", links={"code/alias.py": "inference.py", "latest": "code"}),
    Case("odd-names", "sagemaker", {**sagemaker(), "data/naïve file (1).txt": "x", "data/日本.json": "{}", "a" * 200: "x"}, stage=""),
    Case("latin-1-source", "sagemaker",
         sagemaker("# -*- coding: latin-1 -*-\nNAME = '\xe9'\n".encode("latin-1").decode("latin-1") + FUNCTIONS), stage=""),
    Case("bom-and-windows-lines", "sagemaker",
         {**sagemaker(), "code/inference.py": b"\xef\xbb\xbf" + FUNCTIONS.replace("\n", "\r\n").encode()}, stage=""),
    Case("empty-files", "sagemaker", sagemaker(code____init___dot_txt="", data___dot_gitkeep=""), stage=""),
    Case("public-certificate", "sagemaker", {**sagemaker(), "certs/ca.pem": "-----BEGIN CERTIFICATE-----\nMII\n",
                                             ".env.example": "TOKEN=\n"}, stage=""),
    Case("path-that-is-asked-for", "sagemaker", sagemaker(
        "import os\nVOLUME = '/runpod-volume' if os.path.isdir('/runpod-volume') else None\n" + FUNCTIONS), stage=""),
    Case("path-of-a-file-that-is-there", "sagemaker",
         {**sagemaker("W = '/opt/ml/model/weights.dat'\n" + FUNCTIONS), "weights.dat": b"w"}, stage=""),
    Case("requirements-of-every-form", "sagemaker", sagemaker(
        "import packaging_example\n" + FUNCTIONS, code__requirements_dot_txt=
        "# pinned\n--extra-index-url https://example.org/simple\n-r more.txt\n-c limits.txt\n"
        "torch[opt-einsum]==2.5.1 ; python_version >= '3.9'  # the model\nnumpy==1.26.4 \\\n    --hash=sha256:" + "0" * 64 + "\n"
        "enum34==1.1 ; python_version < '3.4'\n./packaging-example\nthing @ https://example.org/thing-1.0.tar.gz\n",
        code__more_dot_txt="scipy==1.14.1\n", code__limits_dot_txt="urllib3<3\n",
        **{"code/packaging-example/pyproject.toml": "[project]\nname = 'packaging-example'\nversion = '1'\n",
           "code/packaging_example.py": ""}), stage="", untried="its requirements are not all to be had"),
    Case("plain-tar", "sagemaker", stage="", archive=lambda: tar_of(*_members(), form="w")),
    Case("tar-of-a-dot", "sagemaker", stage="", archive=lambda: tar_of(*_members("./"))),
    Case("tar-packed-on-a-mac", "sagemaker", stage="", archive=lambda: tar_of(
        *_members(), ("._code", b"\x00\x05\x16\x07", {}), ("code/__pycache__/inference.cpython-311.pyc", b"\x00", {}))),
    Case("weights-in-two-gzip-members", "sagemaker", stage="",
         archive=lambda: _in_two(tar_of(*_members(), form="w"))),
)  # fmt: skip


def _members(prefix: str = "") -> list[tuple[str, bytes, dict[str, object]]]:
    files: list[tuple[str, bytes]] = [("code/inference.py", FUNCTIONS.encode()), ("samples/a.json", SAMPLE.encode())]
    files.append(("model.safetensors", safetensors()))
    return [(prefix + name, content, {}) for name, content in files]


def _in_two(tar: bytes) -> bytes:
    return gzip.compress(tar[:700]) + gzip.compress(tar[700:])


HEALTHY = (*PATHS, *IMPORTS, *HANDLERS, *FILES, *CORRECT)
