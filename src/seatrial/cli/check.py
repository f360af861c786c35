"""`seatrial check`: judge a package or an image by its files, in seconds."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption
from seatrial.cli.screen import note, print_json

if TYPE_CHECKING:
    from seatrial.package.examine import Report

EXIT_CODES = {"passed": ExitCode.OK, "failed": ExitCode.FAILED, "unprovable": ExitCode.NOT_PROVABLE}
COLOURS = {"error": "red", "unprovable": "magenta", "warning": "yellow"}
LAYOUT_HELP = "How the package says where its handler is: sagemaker, python, aws_lambda, runpod, cog or http."


def check(
    package: Annotated[str, typer.Argument(help="A directory, a .tar.gz or a .tar.")],
    layout: Annotated[str | None, typer.Option(help=LAYOUT_HELP, show_default=False)] = None,
    handler: Annotated[
        str | None, typer.Option(help="The handler in its layout's words, such as module.function.", show_default=False)
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="Base interpreter: a version or a path.", show_default=False)
    ] = None,
    provides: Annotated[
        str | None,
        typer.Option(help="Modules that the base brings where it will run: torch,numpy.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse pickles that would run something.")] = False,
    resolve: Annotated[
        bool, typer.Option("--resolve/--no-resolve", help="Ask an index whether the requirements can be met.")
    ] = True,
    source: Annotated[
        Path | None,
        typer.Option(
            help="The tree that it was packed from: where missing modules are looked for.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check a package: seconds, nothing of it is run. Exit code 1 for errors, 3 for what cannot be told here."""
    from seatrial.package.examine import Chosen, examine
    from seatrial.package.layout import LAYOUTS

    path = Path(package)
    if not path.exists():
        fail(f"{package}: no such file or folder", ExitCode.USAGE, "Give a directory, a .tar.gz or a .tar.")
    if layout is not None and layout not in LAYOUTS:
        fail(f"--layout {layout}: no such layout", ExitCode.USAGE, f"It is one of {', '.join(LAYOUTS)}.")
    began = time.perf_counter()
    report = examine(path, _surveyor(path, python, provides, resolve, source), Chosen(layout, handler, strict))
    seconds = time.perf_counter() - began
    if json:
        print_json(document(package, report, seconds))
    else:
        print_report(package, report, seconds)
    raise typer.Exit(int(EXIT_CODES[report.verdict]))


def document(name: str, report: Report, seconds: float) -> dict[str, Any]:
    """The report as plain data."""
    plain = asdict(report)
    return {
        "package": name,
        "verdict": report.verdict,
        **{key: plain[key] for key in ("layout", "python", "files", "size_bytes")},
        "seconds": round(seconds, 3),
        "findings": list(plain["findings"]),
        "notes": list(plain["notes"]),
    }


def print_report(name: str, report: Report, seconds: float) -> None:
    """For people: what was checked, every finding with its remedy, and the sum."""
    facts = [f"{report.layout} package"] if report.layout else []
    if report.files:
        facts.append(f"{report.files} files, {report.size_bytes / 1e6:,.1f} MB")
    if report.python:
        facts.append(f"Python {report.python}")
    print(f"{name}: {', '.join(facts)}" if facts else name)
    for one in report.findings:
        level = typer.style(one.level, fg=COLOURS[one.level], bold=True) if sys.stdout.isatty() else one.level
        print(f"\n{level} [{one.id}] {one.message}")
        print(f"  remedy: {one.remedy}")
    for text in report.notes:
        note(f"note: {text}")
    counts = [(level, sum(1 for one in report.findings if one.level == level)) for level in COLOURS]
    told = ", ".join(
        f"{count} {level}{'s' if count > 1 and level != 'unprovable' else ''}" for level, count in counts if count
    )
    print(f"\n{report.verdict}: {told or 'nothing to remark'} ({seconds:.1f} s)")


def _surveyor(path: Path, python: str | None, provides: str | None, resolve: bool, source: Path | None) -> Any:
    from seatrial.cli.survey import Surveyor

    provided = frozenset(word.strip() for word in (provides or "").split(",") if word.strip())
    search = (source.resolve(),) if source is not None else (path.resolve().parent,)
    says = note if not sys.stdout.isatty() else lambda text: None
    return Surveyor(python, provided, search, resolve, says)
