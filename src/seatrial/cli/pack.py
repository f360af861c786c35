"""`seatrial pack`: make the archive of a folder, with what its handler needs, checked before it is there."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

    from seatrial.package.archive import Told
    from seatrial.package.examine import Report
    from seatrial.package.repair import Repair

    Judge = Callable[[Path, Told | None], Report]

PROJECT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg")


app = typer.Typer(add_completion=False)


@app.command("pack", epilog=example("seatrial pack mymodel -o model.tar.gz"))
def pack(
    directory: Annotated[Path, typer.Argument(help="The folder of the package.", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to make.")],
    source: Annotated[
        Path | None,
        typer.Option(
            help="The tree with the modules that it lacks; else the project that it lies in.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    include: IncludeOption = None,
    layout: LayoutOption = None,
    handler: HandlerOption = None,
    python: PythonOption = None,
    provides: ProvidesOption = None,
    resolve: ResolveOption = True,
    json: JsonOption = False,
) -> None:
    """Make a .tar.gz that passes `seatrial check`: local modules and data added, caches and secrets left out.

    The same files make the same bytes. Nothing is written if there are errors.
    """
    from seatrial.package.examine import Chosen, examine, mend
    from seatrial.package.repair import NothingToInclude

    check_layout(layout)
    if not output.resolve().parent.is_dir():
        fail(f"--output {output}: there is no folder {output.resolve().parent}", ExitCode.USAGE)
    tree = source or project_of(directory)
    survey = surveyor(tree if tree != directory.resolve() else tree.parent, python, provides, resolve)
    chosen = Chosen(layout, handler)
    began = time.perf_counter()
    try:
        mended = mend(directory, survey, chosen, tree, include or [])
    except NothingToInclude as error:
        fail(f"--include {error}: {tree} holds nothing of that name", ExitCode.USAGE)
    repair = mended.repair
    if repair is None or mended.after.verdict == "failed":
        print_report(str(directory), mended.after, time.perf_counter() - began)
        remedy = "Mend them as the remedies above say."
        if source is None and any(one.id == "imports" and one.level == "error" for one in mended.after.findings):
            remedy += f" Modules were looked for in {tree}: `--source DIR` names another tree."
        fail(f"{directory} has errors: {output} was not written", remedy=remedy)
    report, left_out = _write(directory, repair, output, lambda made, told: examine(made, survey, chosen, told))
    seconds = time.perf_counter() - began
    if json:
        plain = document(str(output), report, seconds)
        print_json({**plain, "added": additions(repair), "left_out": [*left_out, *repair.left_out]})
        raise typer.Exit(int(EXIT_CODES[report.verdict]))
    if repair.additions:
        print_additions(repair, tree)
    for name in left_out:
        print(f"  leave out {name}: it looks like a secret")
    print(f"wrote {output} ({output.stat().st_size:,} bytes); checked:\n")
    print_report(str(output), report, seconds)
    raise typer.Exit(int(EXIT_CODES[report.verdict]))


def project_of(directory: Path) -> Path:
    """The closest folder that is a project's root, the directory itself if there is none."""
    resolved = directory.resolve()
    for folder in (resolved, *resolved.parents):
        if any((folder / mark).exists() for mark in PROJECT_MARKS):
            return folder
    return resolved


def _write(directory: Path, repair: Repair, output: Path, judge: Judge) -> tuple[Report, list[str]]:
    """Make the archive beside its place, check it, and move it there; what was said, and what stayed behind."""
    from seatrial.domain.errors import Unproven
    from seatrial.package.checks.secret_files import is_secret
    from seatrial.package.examine import write_package

    left_out: list[str] = []
    target = output.resolve()

    def stays(name: str) -> bool:
        path = directory / name
        if path.is_file() and not path.is_symlink() and is_secret(path, Path(name)):
            left_out.append(name)
            return True
        return path.resolve() == target

    note("packing")
    with tempfile.TemporaryDirectory(prefix=".seatrial-", dir=target.parent) as scratch:
        made = Path(scratch) / "package.tar.gz"
        try:
            write_package(directory, repair, made, stays)
        except Unproven as error:
            fail(error.message, remedy=error.details.get("remedy"))
        except OSError as error:
            fail(f"{output} cannot be written: {error}")
        with archive_bar(made) as told:
            report = judge(made, told)
        if report.verdict != "failed":
            made.replace(target)
    return report, left_out
