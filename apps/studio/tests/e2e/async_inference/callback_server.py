"""The receiver of callbacks: `seatrial callbacks`, at the address that the environment names.

As a script it runs until Ctrl-C, and shows what comes at its page:

    python tests/e2e/async_inference/callback_server.py      # http://127.0.0.1:8092/

| variable | |
|---|---|
| `ASYNC_CALLBACK_BASE_URL` | how the studio reaches it, `http://127.0.0.1:8092` unless set; it listens at that port |
| `ASYNC_CALLBACK_BIND_HOST` | where it listens, `127.0.0.1` unless set; any other host needs the secret |
| `ASYNC_CALLBACK_SECRET` | the word in `X-Callback-Secret`; callbacks without it are refused |
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from seatrial.prove.callbacks import CannotListen, Inbox, Receiver, receiving
from seatrial.prove.callbacks.server import listen
from seatrial.prove.validate import STUDIO

BASE_URL = os.environ.get("ASYNC_CALLBACK_BASE_URL", "http://127.0.0.1:8092")
BIND_HOST = os.environ.get("ASYNC_CALLBACK_BIND_HOST", "127.0.0.1")
PORT = urlsplit(BASE_URL).port or 80
KEPT = Path(__file__).resolve().parents[5] / ".seatrial" / "studio-callbacks"  # outside the package
SECRET = os.environ.get("ASYNC_CALLBACK_SECRET") or None


@contextmanager
def callback_server(folder: Path, secret: str | None = SECRET) -> Iterator[Receiver]:
    """A receiver in a thread, until the block ends; what came is in `receiver.inbox`.

    Raises:
        CannotListen: the port is taken, or the host may be reached by others and there is no secret.
    """
    known = (secret,) if secret else ()
    with receiving(Inbox(folder, STUDIO), host=BIND_HOST, port=PORT, base_url=BASE_URL, secrets=known) as receiver:
        yield receiver


def main(folder: Path = KEPT) -> None:
    """Until SIGINT or SIGTERM."""
    known = (SECRET,) if SECRET else ()
    try:
        receiver = listen(Inbox(folder, STUDIO), host=BIND_HOST, port=PORT, base_url=BASE_URL, secrets=known)
    except CannotListen as error:
        sys.exit(f"Callback server unavailable: {error}; set ASYNC_CALLBACK_BASE_URL, _BIND_HOST or _SECRET")
    print(f"Receiving callbacks at {receiver.url}; look at them: {receiver.page_url}/ (kept in {folder})", flush=True)
    receiver.serve()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
