"""`seatrial serve`: run a server until it is told to stop."""

from __future__ import annotations

import contextlib
import inspect
import json as json_text
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer
from typer.core import TyperCommand

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import example
from seatrial.config import ConfigError, Setting, Settings, all_settings, load_settings
from seatrial.domain.limits import START_BYTES_MIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PRECEDENCE = (
    "Each setting comes from the command line, else its SEATRIAL_* variable, else the TOML file (--config, "
    "SEATRIAL_CONFIG, or server.toml in the data folder), else its default."
)

SWITCHED_ON = "yes"


def serve(config: Path | None, json: bool, **given: Any) -> None:
    """Run a server: it prints one line with its URL when it is ready, and stops gracefully on SIGTERM or Ctrl-C."""
    try:
        settings = load_settings(given, config)
    except ConfigError as error:
        fail(str(error), ExitCode.USAGE)
    if not settings.is_loopback:
        print(
            f"seatrial: listening on {settings.host}: others can reach this server over plain HTTP. Requests need "
            "credentials; put TLS in front of it.",
            file=sys.stderr,
        )
    _run(settings, _say_ready_in_json if json else _say_ready)


def _run(settings: Settings, say_ready: Callable[[str, Mapping[str, str]], None]) -> None:
    import asyncio
    import gc

    gc.disable()  # modules, routes and models stay: looking through them for garbage is a fifth of the start

    import uvloop

    from seatrial.adapters.sql.lock import DataFolderInUse
    from seatrial.ports.storage import StoreUnavailable
    from seatrial.wiring.parts import StartError
    from seatrial.wiring.server import run_server

    def on_ready(url: str, beside: Mapping[str, str]) -> None:
        gc.freeze()  # nor does any later collection look through them
        gc.enable()
        say_ready(url, beside)

    set_up_logs(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_server(settings, on_ready))
    except (StartError, ConfigError, DataFolderInUse) as error:
        fail(str(error))
    except (OSError, StoreUnavailable) as error:
        fail(f"cannot start on {settings.data}: {error}", remedy=_room_remedy(settings.data))


def _room_remedy(data: Path) -> str | None:
    """A full disk has many names, few of which say so."""
    import shutil

    with contextlib.suppress(OSError):
        free_bytes = shutil.disk_usage(data).free
        if free_bytes < START_BYTES_MIN:
            return f"make room on the disk of {data}: it has {free_bytes:,} bytes free"
    return None


BESIDE = {"public_url": "Clients are told", "studio": "The studio protocol is at", "cog": "Cog's API is at"}


def _say_ready(url: str, beside: Mapping[str, str]) -> None:
    print(f"Seatrial is ready at {url}", flush=True)
    for name, its_url in beside.items():
        print(f"{BESIDE[name]} {its_url}", flush=True)


def _say_ready_in_json(url: str, beside: Mapping[str, str]) -> None:
    print(json_text.dumps({"url": url, "pid": os.getpid(), **beside}), flush=True)


class _Unfailing:
    """A stream whose own troubles (a full disk, a reader that is gone) never reach those who only log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """All of it, or not."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As far as it goes."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def set_up_logs(settings: Settings) -> None:
    """Structured lines on standard error."""
    import logging

    import structlog

    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    shape: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def _signature() -> inspect.Signature:
    """`serve`'s options are the settings themselves: none can be missing from its help."""
    text = "TOML file with settings. [env: SEATRIAL_CONFIG] [default: server.toml in the data folder, if there]"
    config = inspect.Parameter(
        "config",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Path | None, typer.Option("--config", help=_escaped(text), show_default=False)],
    )
    as_json = inspect.Parameter(
        "json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--json", help="Print the line with the URL as JSON.")],
    )
    return inspect.Signature([config, as_json, *(_option(setting) for setting in all_settings())])


class ServeCommand(TyperCommand):
    """`serve`, whose switches may come without a value: `--allow-private-urls` means yes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments as click takes them: every option with its value."""
        return super().parse_args(ctx, list(_with_values(args)))


def _with_values(arguments: Sequence[str]) -> Iterator[str]:
    switches = {setting.option for setting in all_settings() if setting.is_switch}
    for argument, following in zip(arguments, [*arguments[1:], "--"], strict=True):
        bare = argument in switches and following.startswith("-")
        yield f"{argument}={SWITCHED_ON}" if bare else argument


def _option(setting: Setting) -> inspect.Parameter:
    switch = "Without a value: yes. " if setting.is_switch else ""
    text = f"{setting.description} {switch}[env: {setting.variable}] [default: {setting.default}]"
    option = typer.Option(setting.option, help=_escaped(text), show_default=False, metavar=setting.unit)
    kind: Any = list[str] | None if setting.is_list else str | None
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


def _with_signature(command: Callable[..., None]) -> Callable[..., None]:
    signature = _signature()
    command.__signature__ = signature  # type: ignore[attr-defined]  # what inspect reads
    command.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    return command


app = typer.Typer(add_completion=False)
app.command("serve", cls=ServeCommand, epilog=f"{PRECEDENCE}\n\n{example('seatrial serve --data models --port 8400')}")(
    _with_signature(serve)
)
