"""`seatrial deploy`: send a package, and show its trial."""

from __future__ import annotations

import io
import json as json_text
import re
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, PythonOption, example
from seatrial.cli.screen import note, print_facts, print_json
from seatrial.cli.server import Server, connect
from seatrial.cli.trial import passed, watch_trial
from seatrial.domain.endpoint import CanaryPolicy
from seatrial.domain.limits import (
    CANARY_MINUTES_MAX,
    INVOCATION_TIMEOUT_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MIN,
    WORKERS_PER_ENDPOINT_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable

UPLOAD_SECONDS = 24 * 3600.0
PAIR = re.compile(r"([^=]+)=(.*)", re.DOTALL)
SECRET = re.compile(r"([^=]+)=((?:env|file):.+)")
_PREFIX = re.compile(r"s3://[^/]+(?:/.*)?")


app = typer.Typer(add_completion=False)


@app.command("deploy", epilog=example("seatrial deploy mymodel --name mymodel --workers 2"))
def deploy(
    package: Annotated[str, typer.Argument(help="A directory, a .tar.gz, or s3://bucket/key of a stored one.")],
    name: Annotated[str, typer.Option(help="Name of the endpoint.")],
    samples: Annotated[
        str | None,
        typer.Option(
            help="Samples that the package does not have: a folder, or s3://bucket/prefix.", show_default=False
        ),
    ] = None,
    unproven: Annotated[bool, typer.Option("--unproven", help="Serve although tasks have no sample.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=WORKERS_PER_ENDPOINT_MAX,
            help="Worker processes here; 0: outside workers only.",
            show_default=False,
        ),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="NAME=VALUE for the workers; may be given often.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", help="NAME=env:VARIABLE or NAME=file:NAME of the server's; may be given often."),
    ] = None,
    python: PythonOption = None,
    timeout_seconds: Annotated[
        int | None,
        typer.Option(min=1, max=INVOCATION_TIMEOUT_SECONDS_MAX, help="How long a job may run.", show_default=False),
    ] = None,
    queue_ttl_seconds: Annotated[
        int | None,
        typer.Option(
            min=QUEUE_TTL_SECONDS_MIN,
            max=QUEUE_TTL_SECONDS_MAX,
            help="How long a job may wait in the queue.",
            show_default=False,
        ),
    ] = None,
    load_timeout_seconds: Annotated[
        int | None, typer.Option(min=1, help="How long the model may load.", show_default=False)
    ] = None,
    cold_start_seconds: Annotated[
        float | None,
        typer.Option(min=0.001, help="The trial fails if the model takes longer to load.", show_default=False),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu or cuda; with cuda the model must be on a GPU once it is loaded.", show_default=False),
    ] = None,
    memory_bytes_max: Annotated[
        int | None,
        typer.Option(
            min=1, help="Memory of a worker and its processes, in bytes; beyond it they are killed.", show_default=False
        ),
    ] = None,
    memory_growth_bytes_max: Annotated[
        int | None,
        typer.Option(min=1, help="Growth of a worker's memory beyond which it is replaced.", show_default=False),
    ] = None,
    output_prefix: Annotated[
        str | None, typer.Option(help="s3://bucket/prefix of results.", show_default=False)
    ] = None,
    webhook: Annotated[
        list[str] | None, typer.Option(help="URL that is told of the end of every job; may be given often.")
    ] = None,
    deduplicate_inference_id: Annotated[
        bool,
        typer.Option("--deduplicate-inference-id", help="The same SageMaker InferenceId gives the same job."),
    ] = False,
    max_minutes: Annotated[
        int | None,
        typer.Option(min=1, help="Bound of the trial: what does not fit is left out and named.", show_default=False),
    ] = None,
    concurrency_max: Annotated[
        int | None, typer.Option(min=1, help="Jobs that run at once, over all servers.", show_default=False)
    ] = None,
    device_group: Annotated[
        str | None, typer.Option(help="The same for endpoints that share a device.", show_default=False)
    ] = None,
    canary_minutes: Annotated[
        int | None,
        typer.Option(min=1, max=CANARY_MINUTES_MAX, help="Run a sample again so often.", show_default=False),
    ] = None,
    canary_policy: Annotated[
        CanaryPolicy | None,
        typer.Option(help="Whether a failing canary takes the endpoint out of service.", show_default=False),
    ] = None,
    replace: Annotated[
        bool | None,
        typer.Option(
            "--replace/--beside",
            help="Where a device holds one version only: the old one leaves first, and is restored if the trial fails.",
            show_default=False,
        ),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="An endpoint of this name gets a new version.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch the trial to its end.")] = True,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Deploy a package. It is in service once its trial has passed; exit code 1 when it fails."""
    check_name(name)
    for option, uri in (("--output-prefix", output_prefix), ("--samples", samples if _is_stored(samples) else None)):
        _check_prefix(option, uri)
    settings: dict[str, Any] = {
        "workers": workers,
        "env": pairs("--env", env or [], "NAME=VALUE", PAIR),
        "secrets": pairs("--secret", secret or [], "NAME=env:VARIABLE or NAME=file:NAME", SECRET),
        "python": python,
        "invocation_timeout_seconds": timeout_seconds,
        "queue_ttl_seconds": queue_ttl_seconds,
        "load_timeout_seconds": load_timeout_seconds,
        "cold_start_seconds": cold_start_seconds,
        "device": device,
        "memory_bytes_max": memory_bytes_max,
        "memory_growth_bytes_max": memory_growth_bytes_max,
        "output": output_prefix,
        "webhook": " ".join(webhook) if webhook else None,
        "unproven": unproven or None,
        "deduplicate_inference_id": deduplicate_inference_id or None,
        "trial_minutes_max": max_minutes,
        "concurrency_max": concurrency_max,
        "device_group": device_group,
        "canary_minutes": canary_minutes,
        "canary_policy": canary_policy,
        "update": None if replace is None else ("replace" if replace else "blue_green"),
    }
    server = connect(data)
    if samples is not None:
        settings["samples"] = samples if _is_stored(samples) else _upload_samples(server, Path(samples), name)
    said = {key: value for key, value in settings.items() if value not in (None, {})}
    endpoint = send_package(server, package, name, said, update)
    if wait:
        endpoint = watch_trial(server, endpoint)
    if json:
        print_json(endpoint)
    if wait:
        report(endpoint, quiet=json)
    elif not json:
        print(f"{name} is {endpoint['status']}; `seatrial endpoints show {name}` shows how far it is")


def report(endpoint: dict[str, Any], quiet: bool = False) -> None:
    """Say how the trial ended; a failed one ends the command."""
    if not passed(endpoint):
        fail(f"{endpoint['name']} is {endpoint['status']}: {endpoint['failure_reason']}")
    if not quiet:
        unproven = " (unproven)" if endpoint["unproven"] else ""
        workers = endpoint["workers"]
        tasks = ", ".join(task["name"] for task in endpoint["contract"].get("tasks", []))
        state = f"{endpoint['status']}{unproven}"
        print_facts(
            [("endpoint", endpoint["name"]), ("status", state), ("tasks", tasks), ("workers", workers["desired"])]
        )


def send_package(server: Server, package: str, name: str, settings: dict[str, Any], update: bool) -> dict[str, Any]:
    """Order the deployment; the endpoint as the server shows it at once."""
    headers = {} if update else {"If-None-Match": "*"}
    path = f"/v1/endpoints/{name}"
    if package.startswith("s3://"):
        answer = server.call("PUT", path, json={"package": package, **settings}, headers=headers)
        return dict(answer.json())
    with archive_of(Path(package)) as archive, _progress(archive) as stream:
        form = {"settings": json_text.dumps(settings)}
        files = {"package": (f"{Path(package).resolve().name}", stream, "application/gzip")}
        answer = server.call("PUT", path, data=form, files=files, headers=headers, timeout=UPLOAD_SECONDS)
    return dict(answer.json())


@contextmanager
def archive_of(package: Path) -> Iterator[Path]:
    """A package as a `.tar.gz`; a directory is packed for the time being."""
    if package.is_file():
        yield package
        return
    if not package.is_dir():
        fail(f"{package} is neither a directory nor an archive", ExitCode.USAGE)
    from seatrial.domain.errors import Unproven
    from seatrial.package.pack import pack

    with tempfile.TemporaryDirectory(prefix="seatrial-deploy-") as folder:
        packed = Path(folder) / f"{package.resolve().name}.tar.gz"
        try:
            pack(package, packed)
        except Unproven as error:
            fail(error.message, remedy=error.details.get("remedy"))
        except OSError as error:
            fail(f"{package} cannot be packed: {error}")
        yield packed


@contextmanager
def _progress(archive: Path) -> Iterator[io.BufferedReader]:
    """The open file, with a bar on a terminal that follows how far it was read."""
    size = archive.stat().st_size
    if not sys.stderr.isatty():
        note(f"uploading {size / 1e6:.1f} MB")
        with archive.open("rb") as stream:
            yield stream
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("uploading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=size)
        with _Counted(archive, lambda done: bar.update(task, completed=done)) as stream:
            yield stream


class _Counted(io.BufferedReader):
    """A file that tells how far it was read."""

    def __init__(self, path: Path, tell: Callable[[int], None]) -> None:
        super().__init__(path.open("rb", buffering=0))
        self._say = tell

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file does."""
        data = super().read(size)
        self._say(self.tell())
        return data


def check_name(name: str) -> None:
    """End the command, before anything is sent, over a name that no endpoint can have."""
    from seatrial.engine.deploy import NAME

    if NAME.fullmatch(name) is None:
        fail(f"{name!r} is no name for an endpoint", ExitCode.USAGE, "1 to 63 letters, digits and inner hyphens")


def _is_stored(place: str | None) -> bool:
    return place is not None and place.startswith("s3://")


def _check_prefix(option: str, uri: str | None) -> None:
    if uri is not None and _PREFIX.fullmatch(uri) is None:
        fail(f"{option} {uri!r} is not an S3 prefix", ExitCode.USAGE, "s3://bucket/prefix")


def pairs(option: str, given: list[str], valid: str, shape: re.Pattern[str]) -> dict[str, str]:
    """Options of the form NAME=VALUE; another form ends the command."""
    values = {}
    for text in given:
        pair = shape.fullmatch(text)
        if pair is None:
            shown = text.partition("=")[0]  # what follows may be somebody's secret
            fail(f"{option} {shown!r} is not {valid}", ExitCode.USAGE)
        values[pair[1]] = pair[2]
    return values


def _upload_samples(server: Server, folder: Path, name: str) -> str:
    """Send a folder's files as objects; the prefix that they are under."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        fail(f"{folder} holds no samples", ExitCode.USAGE, "NAME.json files, each one request body")
    prefix = f"samples/{name}/{uuid.uuid4()}"
    for path in files:
        upload(server, path.read_bytes(), f"{prefix}/{path.relative_to(folder).as_posix()}")
    return f"s3://seatrial-inputs/{prefix}/"


def upload(server: Server, content: bytes, key: str | None = None) -> str:
    """Put bytes where jobs can read them; their s3:// URI."""
    place = server.call("POST", "/v1/uploads", json={"key": key} if key else {}).json()
    server.put_object(place["url"], content, place["headers"])
    return str(place["uri"])
