"""`seatrial callbacks`: a receiver to test with."""

from __future__ import annotations

import json as json_text
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, example
from seatrial.cli.screen import note
from seatrial.prove.validate import BadProfile, Profile, profile_of

app = typer.Typer(add_completion=False)


@app.command(
    "callbacks",
    epilog=example("seatrial callbacks --secret test-secret", "curl -X PUT localhost:8092/control -d '{\"fail\": 3}'"),
)
def callbacks(
    host: Annotated[
        str, typer.Option(help="Address to listen at; one that others can reach needs --secret.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes any that is free.", min=0, max=65535)] = 8092,
    base_url: Annotated[
        str | None,
        typer.Option(help="How senders reach it, where that differs: a tunnel, a gateway.", show_default=False),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            help="What senders sign with: `whsec_…` of Standard Webhooks, or the word in X-Callback-Secret. May be "
            "given several times. Callbacks without a valid signature are then refused.",
            envvar="SEATRIAL_CALLBACK_SECRET",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where callbacks and their files are kept.")] = Path(
        "seatrial-callbacks"
    ),
    profile: Annotated[
        str, typer.Option(help="What outputs have to be like: default, studio, or a TOML file of your own.")
    ] = "default",
    fail_first: Annotated[
        int, typer.Option("--fail", metavar="N", help="Answer the first N with --fail-status.", min=0)
    ] = 0,
    fail_status: Annotated[int, typer.Option(help="The status of those failures.", min=300, max=599)] = 503,
    hang: Annotated[
        int, typer.Option(metavar="N", help="Never answer the first N; before those that fail.", min=0)
    ] = 0,
    delay_seconds: Annotated[float, typer.Option(help="Answer that late.", min=0, max=600)] = 0.0,
    confirm_topics: Annotated[
        bool,
        typer.Option(
            "--confirm-topics", help="Visit what topics (SNS) send to confirm a subscription, whoever sends it."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Receive callbacks: keep them, check their signatures, look at their pictures; a live page shows them.

    Needs no server. GET /callbacks is what came, as JSON; PUT /control changes what is to go wrong.
    """
    from seatrial.prove.callbacks.inbox import Inbox
    from seatrial.prove.callbacks.misbehaviour import Misbehaviour, Orders
    from seatrial.prove.callbacks.server import CannotListen, listen

    _check_given(secret or (), base_url)
    orders = Orders(Misbehaviour(fail=fail_first, fail_status=fail_status, hang=hang, delay_seconds=delay_seconds))
    try:
        inbox = Inbox(folder, _profile(profile))
        receiver = listen(
            inbox, orders, host=host, port=port, base_url=base_url, secrets=secret or (), confirms=confirm_topics
        )
    except CannotListen as error:
        fail(str(error), ExitCode.FAILED, error.remedy)
    except OSError as error:
        fail(f"{folder} cannot be used: {error.strerror}", ExitCode.USAGE, "name another one with --folder")
    if json:
        ready = {"url": receiver.url, "page": receiver.page_url, "folder": str(folder), "pid": os.getpid()}
        print(json_text.dumps(ready), flush=True)
    else:
        print(f"Receiving callbacks at {receiver.url}", flush=True)
        note(f"look at them: {receiver.page_url}/ (JSON: {receiver.page_url}/callbacks); kept in {folder}")
    receiver.serve()


def _check_given(secrets: Sequence[str], base_url: str | None) -> None:
    """A key or an address that cannot be would have every callback refused, or none come."""
    from seatrial.prove.callbacks.signatures import is_usable

    if not all(is_usable(one) for one in secrets):
        words = "a --secret that begins with whsec_ is no key of Standard Webhooks: its rest is not base64"
        fail(words, ExitCode.USAGE, "copy the whole of it: `seatrial env` prints SEATRIAL_WEBHOOK_SECRET")
    if base_url is not None:
        try:
            parts = urlsplit(base_url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            good = False
        if not good:
            fail(f"--base-url {base_url!r} is no address", ExitCode.USAGE, "such as http://172.17.0.1:8092")


def _profile(name: str) -> Profile:
    try:
        return profile_of(name)
    except BadProfile as error:
        fail(str(error), ExitCode.USAGE)
