"""`seatrial check`: judge a package or an image by its files, in seconds."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from platform import machine as machine_here
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.checked import (
    EXIT_CODES,
    HandlerOption,
    IncludeOption,
    LayoutOption,
    ProvidesOption,
    ResolveOption,
    additions,
    archive_bar,
    check_layout,
    document,
    print_additions,
    print_report,
    surveyor,
)
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, PythonOption, example
from seatrial.cli.screen import note, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.package.examine import Chosen, Mended, Report, Survey


app = typer.Typer(add_completion=False)


@app.command(
    "check",
    epilog=example(
        "seatrial check model.tar.gz --strict",
        "seatrial check image.tar --platform linux/amd64 --handler app.handler",
        "seatrial check model.tar.gz --source . --fix --include config --write fixed.tar.gz",
    ),
)
def check(
    package: Annotated[
        str, typer.Argument(help="A directory, a .tar.gz or a .tar; an image as IMAGE.tar or oci:DIR; a Dockerfile.")
    ],
    layout: LayoutOption = None,
    handler: HandlerOption = None,
    python: PythonOption = None,
    provides: ProvidesOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse pickles that would run something.")] = False,
    resolve: ResolveOption = True,
    source: Annotated[
        Path | None,
        typer.Option(
            help="The tree that it was packed from: where missing modules are looked for.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    include: IncludeOption = None,
    fix: Annotated[bool, typer.Option("--fix", help="Say what of --source would have to be added.")] = False,
    write: Annotated[
        str | None,
        typer.Option(help="With --fix: the repaired archive, a file or s3://bucket/key.", show_default=False),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(help="Of an image: where it will run, such as linux/amd64; else as here.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check a package or an image in seconds; nothing of it is run.

    Exit code 1 for errors, 3 for what cannot be told on this machine.
    """
    from seatrial.package.examine import Chosen, examine

    path = Path(package.removeprefix("oci:"))
    if not path.exists():
        fail(f"{package}: no such file or folder", ExitCode.USAGE, "Give a directory, a .tar.gz or a .tar.")
    if (image := _image(path, package, platform, handler)) is not None:
        began = time.perf_counter()
        _end(package, image(), time.perf_counter() - began, json)
    check_layout(layout)
    if (write or include) and not fix:
        fail("--write and --include belong to --fix", ExitCode.USAGE, "Add --fix, and --source DIR.")
    survey = surveyor(source or path.resolve().parent, python, provides, resolve)
    chosen = Chosen(layout, handler, strict)
    if fix:
        if source is None:
            fail("--fix needs --source DIR", ExitCode.USAGE, "Name the tree that the package was packed from.")
        _fix(path, survey, chosen, source, include or [], write, json)
        return
    began = time.perf_counter()
    with archive_bar(path) as told:
        report = examine(path, survey, chosen, told)
    _end(package, report, time.perf_counter() - began, json)


def _image(path: Path, named: str, platform: str | None, handler: str | None) -> Callable[[], Report] | None:
    """The check of an image or a Dockerfile; None for a package."""
    from seatrial.package.image.examine import ImageChosen, examine_dockerfile, examine_image
    from seatrial.package.image.store import is_image

    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine_here(), machine_here())
    chosen = ImageChosen(platform or f"linux/{machine}", handler)
    if path.is_file() and (path.name.startswith("Dockerfile") or path.suffix.lower() == ".dockerfile"):
        return lambda: examine_dockerfile(path, chosen)
    if is_image(path):
        return lambda: examine_image(path, chosen)
    if named.startswith("oci:"):
        fail(f"{path} is no OCI layout", ExitCode.USAGE, "It holds oci-layout and index.json: `skopeo copy … oci:DIR`.")
    return None


def _end(name: str, report: Report, seconds: float, json: bool) -> None:
    if json:
        print_json(document(name, report, seconds))
    else:
        print_report(name, report, seconds)
    raise typer.Exit(int(EXIT_CODES[report.verdict]))


def _fix(
    package: Path, survey: Survey, chosen: Chosen, tree: Path, include: list[str], write: str | None, json: bool
) -> None:
    from seatrial.package.examine import mend
    from seatrial.package.repair import NothingToInclude

    began = time.perf_counter()
    try:
        with archive_bar(package) as told:
            mended = mend(package, survey, chosen, tree, include, told)
    except NothingToInclude as error:
        fail(f"--include {error}: {tree} holds nothing of that name", ExitCode.USAGE)
    seconds = time.perf_counter() - began
    if not json:
        print_report(str(package), mended.before, seconds)
        print("\nrepair:")
        if mended.repair is not None:
            print_additions(mended.repair, tree)
    if mended.repair is None or write is None:
        after, written = mended.after, None
        if not json and mended.repair is not None:
            print(f"\nThe repaired package would have {_outcome(mended.after)}; --write OUT makes it.")
    else:
        after, written = _write(package, mended, survey, chosen, write), write
        if not json:
            print(f"\nwrote {write}; checked again:\n")
            print_report(write, after, 0.0)
    if json:
        print_json(_fix_document(str(package), mended, after, written, seconds))
    worst = after if written else mended.before
    raise typer.Exit(int(EXIT_CODES[worst.verdict]))


def _outcome(report: Report) -> str:
    return {"passed": "no error", "failed": "errors still", "unprovable": "no error that shows here"}[report.verdict]


def _fix_document(name: str, mended: Mended, after: Report, written: str | None, seconds: float) -> dict[str, Any]:
    return {
        **document(name, mended.before, seconds),
        "repair": additions(mended.repair) if mended.repair is not None else [],
        "written": written,
        "after": document(written or name, after, 0.0),
    }


def _write(package: Path, mended: Mended, survey: Survey, chosen: Chosen, out: str) -> Report:
    """Make the repaired archive where it is wanted; the report of checking just those bytes."""
    from seatrial.domain.errors import Unproven
    from seatrial.package.examine import examine, write_package

    assert mended.repair is not None  # noqa: S101  # the caller looked
    target = Path(out)
    if not out.startswith("s3://") and target.exists() and target.resolve() == package.resolve():
        fail(f"--write {out} is the package itself", ExitCode.USAGE, "Name another file; the old one is kept.")
    folder = Path(tempfile.gettempdir()) if out.startswith("s3://") else target.resolve().parent
    if not folder.is_dir():
        fail(f"--write {out}: there is no folder {folder}", ExitCode.USAGE)
    with tempfile.TemporaryDirectory(prefix=".seatrial-", dir=folder) as scratch:
        made = Path(scratch) / "package.tar.gz"
        note("packing")
        try:
            write_package(package, mended.repair, made)
        except Unproven as error:
            fail(error.message, remedy=error.details.get("remedy"))
        except OSError as error:
            fail(f"{out} cannot be written: {error}")
        with archive_bar(made) as told:
            report = examine(made, survey, chosen, told)
        if out.startswith("s3://"):
            upload(made, out)
        else:
            made.replace(target)
    return report


def upload(file: Path, uri: str) -> None:
    """Put a file to s3://bucket/key with boto3, which reads AWS_ENDPOINT_URL and the usual credentials."""
    try:
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        fail("s3:// needs boto3", ExitCode.USAGE, "pip install 'seatrial[aws]'")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        fail(f"{uri} names no object", ExitCode.USAGE, "Write s3://bucket/key.tar.gz.")
    try:
        boto3.client("s3").upload_file(str(file), bucket, key)
    except (Boto3Error, BotoCoreError, ClientError) as error:
        fail(f"{uri} cannot be written: {error}", remedy="Check the bucket, AWS_ENDPOINT_URL and the credentials.")
