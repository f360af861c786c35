"""`seatrial demo`: a server, and the main job of one of the apps through its own client; then all of it is gone."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, example
from seatrial.cli.screen import note

SCRIPT = "demo.py"  # of an app: deploys it, asks it, shows what came

app = typer.Typer(add_completion=False)


@app.command("demo", epilog=example("seatrial demo floorplan --input plan.png"))
def demo(
    name: Annotated[str, typer.Argument(metavar="APP", help="A folder of apps/.")] = "floorplan",
    input: Annotated[
        Path | None, typer.Option(help="What the app is asked about; otherwise its own sample.", exists=True)
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder for what comes back.", file_okay=False)] = Path(),
    data: Annotated[Path | None, typer.Option("--data", help="Data folder; otherwise a temporary one.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary data folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Start a server, deploy an app, do its main job as one of its clients would, and clean up."""
    _need_extras()
    script = _script(name)
    options = ["--output", str(output.absolute())]
    options += [] if input is None else ["--input", str(input.absolute())]
    options += ["--json"] if json else []
    output.mkdir(parents=True, exist_ok=True)
    try:
        with _interruptible(), _data_folder(data, keep) as folder:
            code = _run(script, options, folder)
    except KeyboardInterrupt:
        fail("interrupted; the server has ended", ExitCode.INTERRUPTED)
    if code:
        fail(f"{script} ended with code {code}")


def _run(script: Path, options: list[str], data: Path) -> int:
    from seatrial.cli.children import running_script, running_server

    note(f"starting a server, with its data in {data}")
    with running_server(data) as environment:
        note(f"the server is ready at {environment['AWS_ENDPOINT_URL']}")
        with running_script(script, options, environment) as process:
            return process.wait()


# ---------------------------------------------------------------- what is needed


def _need_extras() -> None:
    try:
        import boto3  # noqa: F401
        import PIL.Image  # noqa: F401
    except ImportError as error:
        fail(f"the demo needs {error.name}", ExitCode.USAGE, "pip install 'seatrial[demo]'")


def _script(name: str) -> Path:
    """The app's script in a checkout: below the current folder, or the checkout that this file lies in."""
    checkouts = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
    apps = next((one / "apps" for one in checkouts if (one / "apps" / "floorplan" / SCRIPT).is_file()), None)
    if apps is None:
        fail("apps/floorplan is not here", ExitCode.USAGE, "run the demo in a checkout of Seatrial")
    names = sorted(path.parent.name for path in apps.glob(f"*/{SCRIPT}"))
    if name not in names:
        fail(f"apps/{name} has no {SCRIPT}", ExitCode.USAGE, "one of " + ", ".join(names))
    return apps / name / SCRIPT


@contextmanager
def _data_folder(data: Path | None, keep: bool) -> Iterator[Path]:
    if data is not None:
        yield data
    elif keep:
        yield Path(tempfile.mkdtemp(prefix="seatrial-demo-"))
    else:
        with tempfile.TemporaryDirectory(prefix="seatrial-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: through every cleanup."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before: Any = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
