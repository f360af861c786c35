"""`seatrial demo`: a server, a real model, its trial, and a job through an unmodified boto3 client."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, example
from seatrial.cli.screen import note, print_json, print_table

if TYPE_CHECKING:
    from seatrial.cli.demo_client import Rooms

PACKAGE = Path("apps") / "floorplan"
ENDPOINT = "floorplan"
TASK = "find_rooms"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


app = typer.Typer(add_completion=False)


@app.command("demo", epilog=example("seatrial demo --plan plan.png"))
def demo(
    plan: Annotated[
        Path | None, typer.Option(help="A floor plan; otherwise the package's own.", exists=True, dir_okay=False)
    ] = None,
    output: Annotated[Path, typer.Option(help="Where the annotated picture goes.")] = Path("floorplan-rooms.png"),
    data: Annotated[Path | None, typer.Option("--data", help="Data folder; otherwise a temporary one.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary data folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Start a server, deploy the floor-plan package, find the rooms of a plan through boto3, and clean up."""
    _need_extras()
    package = _package()
    picture = plan or _own_plan(package)
    try:
        with _interruptible(), ExitStack() as stack:
            folder = stack.enter_context(_data_folder(data, keep))
            rooms = _run(package, picture, folder, stack, output)
            _show(rooms, output, json)
    except KeyboardInterrupt:
        fail("interrupted; the server has ended", ExitCode.INTERRUPTED)


def _run(package: Path, picture: Path, data: Path, stack: ExitStack, output: Path) -> Rooms:
    from seatrial.cli import demo_client
    from seatrial.cli.demo_server import running_server
    from seatrial.cli.deploy import report, send_package
    from seatrial.cli.server import connect
    from seatrial.cli.trial import watch_trial

    note(f"starting a server, with its data in {data}")
    environment = stack.enter_context(running_server(data))
    note(f"the server is ready at {environment['AWS_ENDPOINT_URL']}")
    server = connect(data)
    note(f"deploying {package} as {ENDPOINT!r}: nothing serves before its trial has passed")
    report(watch_trial(server, send_package(server, str(package), ENDPOINT, {}, update=True)), quiet=True)
    client = demo_client.Client(environment)
    note(f"uploading {picture} and submitting a job, with boto3 as it is")
    job = client.submit(ENDPOINT, TASK, picture)
    note(f"the result will be {job.output}, a failure {job.failure}")
    try:
        rooms = client.wait(job)
        overlay = client.overlay(rooms)
    except demo_client.NoResult as error:
        fail(str(error))
    output.write_bytes(overlay)
    return rooms


def _show(rooms: Rooms, output: Path, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json({**asdict(rooms), "annotated": str(output.absolute())})
        return
    rows = [(number, *room.row()) for number, room in enumerate(rooms.rooms, 1)]
    print_table(["room", "box", "area px", "area m²", "centroid", "confidence"], rows, "no rooms were found")
    print(f"{len(rooms.rooms)} rooms in a picture of {rooms.width} x {rooms.height} pixels")
    print(f"The annotated picture is {output.absolute()}")


# ---------------------------------------------------------------- what is needed


def _need_extras() -> None:
    try:
        import boto3  # noqa: F401
        import PIL.Image  # noqa: F401
    except ImportError as error:
        fail(f"the demo needs {error.name}", ExitCode.USAGE, "pip install 'seatrial[demo]'")


def _package() -> Path:
    """The floor-plan package of a checkout: below the current folder, or of the one this file lies in."""
    checkouts = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
    found = next((one / PACKAGE for one in checkouts if (one / PACKAGE / "seatrial.toml").is_file()), None)
    if found is None:
        fail(f"{PACKAGE}/seatrial.toml is not here", ExitCode.USAGE, "run the demo in a checkout of Seatrial")
    return found


def _own_plan(package: Path) -> Path:
    plans = sorted(path for path in (package / "samples").iterdir() if path.suffix.lower() in PICTURES)
    if not plans:
        fail(f"{package}/samples has no picture", ExitCode.USAGE, "name one with --plan")
    return plans[0]


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
