"""What `seatrial check` and `seatrial pack` share: options, the survey of this machine, and how a report is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.screen import bytes_bar, note

if TYPE_CHECKING:
    from seatrial.cli.survey import Surveyor
    from seatrial.package.examine import Report
    from seatrial.package.repair import Repair

EXIT_CODES = {"passed": ExitCode.OK, "failed": ExitCode.FAILED, "unprovable": ExitCode.NOT_PROVABLE}
BAR_BYTES_MIN = 200_000_000  # of an archive that takes long enough to look into
COLOURS = {"error": "red", "unprovable": "magenta", "warning": "yellow"}

LayoutOption = Annotated[
    str | None,
    typer.Option(
        help="How the package says where its handler is: sagemaker, python, aws_lambda, runpod, cog or http.",
        show_default=False,
    ),
]
HandlerOption = Annotated[
    str | None, typer.Option(help="The handler in its layout's words, such as module.function.", show_default=False)
]
ProvidesOption = Annotated[
    str | None, typer.Option(help="Modules that the base brings where it will run: torch,numpy.", show_default=False)
]
ResolveOption = Annotated[
    bool, typer.Option("--resolve/--no-resolve", help="Ask an index whether the requirements can be met.")
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(help="A file or folder of the source tree that goes in as well; may be given often."),
]


def check_layout(layout: str | None) -> None:
    """End the command over a layout that does not exist."""
    from seatrial.package.layout import LAYOUTS

    if layout is not None and layout not in LAYOUTS:
        fail(f"--layout {layout}: no such layout", ExitCode.USAGE, f"It is one of {', '.join(LAYOUTS)}.")


def surveyor(search: Path, python: str | None, provides: str | None, resolve: bool) -> Surveyor:
    """Asks this machine about the target, as the options say."""
    from seatrial.cli.survey import Surveyor

    provided = frozenset(word.strip() for word in (provides or "").split(",") if word.strip())
    return Surveyor(python, provided, (search.resolve(),), resolve, note)


@contextmanager
def archive_bar(archive: Path) -> Iterator[Callable[[int], None] | None]:
    """How far a big archive was read, where somebody looks on; nothing of others."""
    size = archive.stat().st_size if archive.is_file() else 0
    if size < BAR_BYTES_MIN:
        yield None
        return
    with bytes_bar(f"reading {archive.name}", size) as told:
        yield told


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


def additions(repair: Repair) -> list[dict[str, Any]]:
    """What a repair adds, as plain data."""
    return [
        {"source": str(one.source), "target": one.target, "why": one.why, "files": one.files}
        for one in repair.additions
    ]


def print_report(name: str, report: Report, seconds: float) -> None:
    """For people: what was checked, every finding with its remedy, and the sum."""
    word = report.layout if report.layout in ("", "image", "dockerfile") else f"{report.layout} package"
    facts = [word] if word else []
    if report.files:
        files = "1 file" if report.files == 1 else f"{report.files:,} files"
        facts.append(f"{files}, {size_of(report.size_bytes)}" if report.size_bytes else files)
    if report.python:
        facts.append(f"Python {report.python}")
    print(f"{name}: {', '.join(facts)}" if facts else name)
    for one in report.findings:
        level = typer.style(one.level, fg=COLOURS[one.level], bold=True) if sys.stdout.isatty() else one.level
        print(f"\n{level} [{one.id}] {one.message}")
        print(f"  remedy: {one.remedy}")
    for text in report.notes:
        note(f"note: {text}")
    print(f"\n{report.verdict}: {_counts(report)} ({seconds:.1f} s)")


def size_of(size_bytes: int) -> str:
    """For people."""
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.1f} kB"


def print_additions(repair: Repair, tree: Path) -> None:
    """What would go into the package, a line each."""
    for one in repair.additions:
        source = one.source.relative_to(tree.resolve()) if one.source.is_relative_to(tree.resolve()) else one.source
        files = "1 file" if one.files == 1 else f"{one.files} files"
        print(f"  add {source} as {one.target} ({files}): {one.why}")
    for name in repair.left_out:
        print(f"  leave out {name}: it looks like a secret")
    if not repair.additions:
        print("  nothing to add: the source tree has none of what is missing")


def _counts(report: Report) -> str:
    found = [(level, sum(1 for one in report.findings if one.level == level)) for level in COLOURS]
    told = [f"{count} {_plural(level, count)}" for level, count in found if count]
    return ", ".join(told) or "nothing to remark"


def _plural(level: str, count: int) -> str:
    return f"{level}s" if count > 1 and level != "unprovable" else level
