"""Run a handler by hand on one request, without the server: `python by_hand.py ORDER REQUEST OUT [--pdb]`.

ORDER is the JSON file of a `load` frame, REQUEST that of a `work` frame whose contents are all files ("-": only
load), OUT a folder for what is answered. The handler runs in this very process, so that a debugger sees it.

Exit code 0: it answered (with only a load: it loaded); 1: it raised; another one, or a signal, is the handler's own.
"""

import os
import sys

_FOLDER = __file__.rpartition("/")[0]
if __name__ == "__main__" and sys.path and sys.path[0] == _FOLDER:
    del sys.path[0]

import faulthandler  # noqa: E402  (only once our folder is off the path)
import importlib  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402
import shutil  # noqa: E402
import traceback  # noqa: E402
from types import TracebackType  # noqa: E402
from typing import Any, Mapping, Optional, Sequence  # noqa: E402, UP035

_PRIVATE_NAME = "_seatrial_worker"
BODY_CHARS_SHOWN_MAX = 4_000


def main(order_file: str, request_file: str, out: str, *options: str) -> int:
    """Load, answer, and tell; the exit code."""
    faulthandler.enable()
    order = _read(order_file)
    request = None if request_file == "-" else _read(request_file)
    try:
        _run(order, request, pathlib.Path(out))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        theirs = _without_ours(error.__traceback__)
        traceback.print_exception(type(error), error, theirs)
        if "--pdb" in options:
            import pdb  # noqa: T100  the user asked for it

            pdb.post_mortem(theirs or error.__traceback__)
        return 1
    finally:
        faulthandler.cancel_dump_traceback_later()
    return 0


def _run(order: dict[str, Any], request: Optional[dict[str, Any]], out: pathlib.Path) -> None:
    child = importlib.import_module(_PRIVATE_NAME + ".child")
    context_module = importlib.import_module(_PRIVATE_NAME + ".context")
    tells_module = importlib.import_module(_PRIVATE_NAME + ".tells")
    asks_module = importlib.import_module(_PRIVATE_NAME + ".asks")
    devices = importlib.import_module(_PRIVATE_NAME + ".devices")
    answers = importlib.import_module(_PRIVATE_NAME + ".answer")
    nobody, _ = os.pipe()  # nothing is asked of the handler by hand
    asks = asks_module.Asks(nobody, lambda: None)
    tells = tells_module.Tells(_print_told)
    context = context_module.Context(order["endpoint_name"], order["package"], asks, tells)
    faulthandler.dump_traceback_later(order["load_timeout_seconds"], exit=True)
    devices.require_present(order["device"])
    handle = child.load(order, context)
    devices.require_used(order["device"], devices.sight())
    faulthandler.cancel_dump_traceback_later()
    print("by hand: the model is loaded", file=sys.stderr, flush=True)
    if request is None:
        return
    requests = importlib.import_module(_PRIVATE_NAME + ".request")
    asked = requests.Request((request, []))
    tells.begin(asked.token, asked.job_id)
    context.begin(asked.number, asked.job_id, asked.media_type, asked.accept, asked.attributes)
    os.makedirs(asked.folder, exist_ok=True)
    faulthandler.dump_traceback_later(request["timeout_ms"] / 1_000, exit=True)
    answer = answers.checked(handle(asked))
    faulthandler.cancel_dump_traceback_later()
    _tell(answer, out)


def _print_told(told: Mapping[str, Any], payloads: Sequence[bytes]) -> None:
    """A chunk of a stream, or how far the handler is."""
    print(
        f"by hand: {told['what']}: {b''.join(payloads)[:BODY_CHARS_SHOWN_MAX].decode('utf-8', 'replace')}", flush=True
    )


def _without_ours(found: Optional[TracebackType]) -> Optional[TracebackType]:
    """From the first frame that is not of the worker's own code, or of the import system, on."""
    while found is not None:
        place = found.tb_frame.f_code.co_filename
        if not place.startswith((_FOLDER + "/", "<frozen importlib")) and place != importlib.__file__:
            return found
        found = found.tb_next
    return None


def _tell(answer: Any, out: pathlib.Path) -> None:
    """Print what fits a screen, and keep all of it in files."""
    out.mkdir(parents=True, exist_ok=True)
    for name, payload in {"result": answer.body, **answer.parts}.items():
        kept = out / name.replace("/", "_")
        if isinstance(payload, bytes):
            kept.write_bytes(payload)
        else:
            shutil.copyfile(payload, kept)
        print(f"by hand: {name}, {kept.stat().st_size} bytes, is in {kept}", file=sys.stderr)
    (out / ".media-type").write_text(answer.media_type, encoding="utf-8")
    body = (out / "result").read_bytes()
    if answer.media_type.startswith(("application/json", "text/")):
        print(body[:BODY_CHARS_SHOWN_MAX].decode("utf-8", "replace"), flush=True)


def _read(file: str) -> Any:
    with open(file, encoding="utf-8") as opened:
        return json.load(opened)


def _adopt_package() -> None:
    spec = importlib.util.spec_from_file_location(_PRIVATE_NAME + "_main", _FOLDER + "/main.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{_FOLDER}/main.py is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.adopt_package()


if __name__ == "__main__":
    _adopt_package()
    sys.exit(main(*sys.argv[1:]))
