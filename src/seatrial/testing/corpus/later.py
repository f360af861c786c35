"""Faults that no look at the files can tell: a trial must, at the stage that is named. A check has nothing to remark."""

from __future__ import annotations

import os

from seatrial.testing.corpus.case import Case, Content
from seatrial.testing.corpus.parts import CLASS, FUNCTIONS, SAMPLE, SERVER, TOML, python, sagemaker
from seatrial.testing.corpus.races import RACES

RETURNED = '{"text": text}'
PICTURE_OUT = "\n[tasks.echo.output]\nmedia_type = 'image/png'\n"
PARTS_OUT = "\n[tasks.echo.output.parts.overlay]\nmedia_type = 'image/png'\n"
SCHEMA_OUT = "\n[tasks.echo.output.schema]\ntype = 'object'\nrequired = ['vector']\n"
EXPECTS = TOML + "expect = 'samples/a.expect.json'\n"
OTHER_SAMPLE = TOML + "[[tasks.echo.samples]]\ninput = 'samples/b.json'\n"
ALIAS = TOML.replace("[tasks.echo]\n", "[tasks.echo]\naliases = ['say']\n")
PHOTO = """\
[package]
handler = "handler:Handler"

[tasks.see.input.photo]
type = "image"
required = true
formats = ["png"]
form = "bytes"

[[tasks.see.samples]]
files = { photo = "samples/a.png" }
"""
# A whole picture of one grey pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000" + "3a7e9b55"
    "0000000a49444154789c6368000000820081dd436af40000000049454e44ae426082"
)


def _sagemaker(name: str, stage: str, code: str, **more: Content) -> Case:
    return Case(name, "sagemaker", sagemaker(code, **more), stage)


def _python(name: str, stage: str, code: str, toml: str = TOML, **more: Content) -> Case:
    return Case(name, "python", python(code, toml) | more, stage)


def _loads(name: str, statement: str, **more: Content) -> Case:
    """`statement` stands in model_fn."""
    return _sagemaker(name, "load", FUNCTIONS.replace("return {", f"{statement}\n    return {{"), **more)


def _answers(name: str, answer: str, toml: str = TOML, **more: Content) -> Case:
    """`answer` is what the handler returns for {"text": "ahoy"}."""
    return _python(name, "prove", "import math, os, sys, time\n\n\n" + CLASS.replace(RETURNED, answer), toml, **more)


def _does(name: str, stage: str, statement: str, toml: str = TOML, **more: Content) -> Case:
    """`statement` stands in the handler, before its answer."""
    body = CLASS.replace("return", f"{statement}\n        return")
    return _python(name, stage, "import os, signal, sys, threading, time\n\n\n" + body, toml, **more)


ENVIRONMENT = (
    _sagemaker("requirement-that-does-not-exist", "environment", FUNCTIONS,
               code__requirements_dot_txt="no-such-distribution-anywhere==1.0\n"),
)  # fmt: skip

LOAD = (
    _loads("crash-on-load", "import os; os.abort()"),
    _loads("load-raises", "raise OSError('no GPU')"),
    _loads("load-exits", "import sys; sys.exit(0)"),
    _loads("load-is-slow", "import time; time.sleep(600)", seatrial_dot_toml="[worker]\nload_timeout_seconds = 2\n"),
    _loads("load-over-its-budget", "import time; time.sleep(2)", seatrial_dot_toml="[worker]\ncold_start_seconds = 0.5\n"),
    _loads("load-needs-too-much-memory", "global KEPT; KEPT = bytearray(b'1') * (400 << 20)",
           seatrial_dot_toml="[worker]\nmemory_bytes_max = 200000000\n"),
    _loads("load-never-said-that-it-loaded", "print('falling back to random weights')",
           seatrial_dot_toml="[worker]\nload_log_patterns = ['weights loaded from .*']\n"),
    _loads("fallback-to-the-cpu", "print('CUDA is not there, using the CPU')", seatrial_dot_toml="[worker]\ndevice = 'cuda'\n"),
    _loads("weights-that-do-not-parse", "import json, os; json.load(open(os.path.join(model_dir, 'model.cfg')))",
           model_dot_cfg="{]"),
    _sagemaker("import-of-a-computed-name", "load", "NAMES = ['gone']\nMODEL = __import__(NAMES[0])\n" + FUNCTIONS),
    _sagemaker("import-that-raises", "load", "import local\n" + FUNCTIONS, code__local_dot_py="CONFIG = {}['config']\n"),
    _python("class-that-cannot-be-made", "load", "class Handler:\n    def __init__(self, weights=open('gone', 'rb') if len('x') else None):\n"
            "        pass\n\n    def echo(self, text):\n        return {'text': text}\n"),
)  # fmt: skip

PROVE = (
    _sagemaker("crash-on-first-request", "prove", FUNCTIONS.replace("return data", "import os; os.abort()")),
    _sagemaker("raises-on-every-request", "prove", FUNCTIONS.replace("return data", "return model['lost']")),
    _sagemaker("import-at-the-first-request", "prove",
               FUNCTIONS.replace("return data", "return __import__(data['text'].replace('ahoy', 'gone'))")),
    _sagemaker("model-fn-returned-nothing", "prove",
               FUNCTIONS.replace('return {"dir": model_dir}', "pass").replace("return data", "return model(data)")),
    _sagemaker("knows-no-such-task", "prove",
               FUNCTIONS.replace("return data", "raise ValueError(f\"Unknown task: {data['text']}\")")),
    _answers("wrong-output-shape", RETURNED, TOML + SCHEMA_OUT),
    _answers("not-what-the-sample-expects", RETURNED, EXPECTS,
             **{"samples/a.expect.json": '{"properties": {"text": {"const": "AHOY"}}}'}),
    _answers("soft-failure", '{"status": "error", "message": "no weights"}'),
    _answers("soft-failure-by-an-error", '{"text": "", "error": "CUDA out of memory"}'),
    _answers("soft-failure-by-an-object", '{"text": "", "error": {"code": 7}}'),
    _answers("mock-answer", '{"embedding": [0.0] * 8, "embedding_mock": True}'),
    _answers("answers-no-json", "{1, 2, 3}"),
    _answers("answers-not-a-number", '{"loss": math.nan}', TOML + SCHEMA_OUT.replace("vector", "loss")),
    _answers("answers-nothing", "None", TOML + SCHEMA_OUT),
    _answers("picture-that-is-none", "b'not a picture'", TOML + PICTURE_OUT),
    _answers("picture-cut-off", "open('whole.png', 'rb').read()[:-20]", TOML + PICTURE_OUT, **{"whole.png": PNG}),
    _answers("part-missing", RETURNED, TOML + PARTS_OUT),
    _answers("part-is-no-picture", '{"text": text, "overlay": b"nothing"}', TOML + PARTS_OUT),
    _answers("too-slow-for-its-budget", "time.sleep(1) or {'text': text}",
             TOML.replace("[tasks.echo]\n", "[tasks.echo]\nlatency_seconds_max = 0.3\n")),
    _answers("never-answers", "time.sleep(600)", TOML.replace("[tasks.echo]", "[worker]\ninvocation_timeout_seconds = 2\n\n[tasks.echo]")),
    _answers("exits-with-the-request", "sys.exit(1)"),
    _answers("killed-with-the-request", "os.kill(os.getpid(), 9)"),
    _answers("writes-where-it-must-not", "open('cache.bin', 'wb') and {'text': text}"),
    _answers("second-sample-fails", "{'text': {'ahoy': 'ahoy'}[text]}", OTHER_SAMPLE, **{"samples/b.json": '{"text": "b"}'}),
)  # fmt: skip

REFUSE = (
    _sagemaker("unknown-task-crashes-the-worker", "refuse",
               FUNCTIONS.replace("return data", "import os; data['task'] == 'echo' or os._exit(3); return data"),
               samples__a_dot_json='{"task": "echo", "text": "ahoy"}'),
    _sagemaker("malformed-input-crashes-the-worker", "refuse",
               "import json, os\n\n\ndef input_fn(body, content_type):\n    try:\n        return json.loads(body)\n"
               "    except ValueError:\n        os._exit(4)\n\n\n" + FUNCTIONS),
    _sagemaker("malformed-input-hangs-the-worker", "refuse",
               "import json, time\n\n\ndef input_fn(body, content_type):\n    try:\n        return json.loads(body)\n"
               "    except ValueError:\n        time.sleep(600)\n\n\n" + FUNCTIONS,
               seatrial_dot_toml="[worker]\ninvocation_timeout_seconds = 2\n"),
)  # fmt: skip

DRILL = (
    _does("state-left-behind", "drill", "self.count = getattr(self, 'count', 0) + 1; text = f'{text} {self.count}'"),
    _does("cross-talk", "drill", "KEPT.append(text); text = KEPT[-2] if len(KEPT) > 1 else text", OTHER_SAMPLE,
          **{"samples/b.json": '{"text": "b"}'}),
    _does("leak", "drill", "KEPT.append(bytearray(b'1') * (1 << 24))"),
    _does("fails-when-asked-again", "drill", "KEPT.append(text); text = {1: text, 2: text, 3: text}[min(len(KEPT), 4)]"),
    _does("crashes-when-asked-often", "drill", "KEPT.append(text); len(KEPT) > 9 and os.abort()"),
    _does("slower-and-slower", "drill", "KEPT.append(text); time.sleep(0.2 * len(KEPT))",
          TOML.replace("[tasks.echo]", "[worker]\ninvocation_timeout_seconds = 2\n\n[tasks.echo]")),
    _does("lock-file-left-behind", "drill", "os.close(os.open(LOCK, os.O_CREAT | os.O_EXCL)); time.sleep(0.3); os.unlink(LOCK)"),
    *RACES,
)  # fmt: skip


def _server(name: str, stage: str, was: str, becomes: str, worker: str = "") -> Case:
    """A server of the package's own that answers whatever comes, but for one line."""
    toml = "[package]\ncommand = ['python', 'server.py']\n" + worker
    files = {"seatrial.toml": toml, "server.py": SERVER.replace(was, becomes), "samples/a.json": SAMPLE}
    return Case(name, "http", files, stage)


SERVERS = (
    _server("server-ends-at-once", "load", "HTTPServer((", "raise SystemExit(3)\nHTTPServer(("),
    _server("server-never-ready", "load", "HTTPServer((", "import time\ntime.sleep(600)\nHTTPServer((",
            "[worker]\nload_timeout_seconds = 2\n"),
    _server("server-ping-is-bad", "load", "def do_GET(self):\n        self.answer(b\"\")",
            "def do_GET(self):\n        self.send_error(503)", "[worker]\nload_timeout_seconds = 2\n"),
    _server("server-on-another-port", "load", 'int(os.environ["PORT"])', "5000", "[worker]\nload_timeout_seconds = 2\n"),
    _server("server-pings-only", "prove", "self.answer(self.rfile", "return self.send_error(500)\n        self.answer(self.rfile"),
    _server("server-without-content-length", "prove", 'self.send_header("Content-Length", str(len(body)))', "pass"),
    _server("server-breaks-off", "prove", "self.answer(self.rfile", "return\n        self.answer(self.rfile"),
)  # fmt: skip


def _with_globals(case: Case) -> Case:
    """Module-level state for the handlers that want some."""
    code = str(case.files.get("handler.py", ""))
    lock = f"seatrial-corpus-{os.getpid()}"  # what a run of the corpus leaves there fails no later run
    head = f"KEPT = []\nLOCK = '/dev/shm/{lock}'\n"
    if "KEPT" not in code and "LOCK" not in code:
        return case
    return Case(case.name, case.layout, {**case.files, "handler.py": head + code}, case.stage)


LATER = (*ENVIRONMENT, *LOAD, *SERVERS, *PROVE, *REFUSE, *map(_with_globals, DRILL))
