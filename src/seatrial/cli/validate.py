"""`seatrial validate`: are these outputs whole and sane?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, JUnitOption, example
from seatrial.cli.reports import check_writable
from seatrial.cli.screen import note, print_json, print_table
from seatrial.prove.finding import Outcome
from seatrial.prove.junit import junit_xml
from seatrial.prove.validate import (
    BadProfile,
    Kind,
    MissingLibrary,
    Profile,
    Verdict,
    load_schema,
    profile_of,
    validate_file,
)
from seatrial.prove.validate.walk import Found, find_outputs

app = typer.Typer(add_completion=False)


@app.command("validate", epilog=example("seatrial validate outputs/ --profile studio --junit report.xml"))
def validate(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="Outputs, or folders of them.")],
    profile: Annotated[
        str, typer.Option(help="What they have to be like: default, studio, or a TOML file of your own.")
    ] = "default",
    schema: Annotated[
        Path | None, typer.Option(help="A JSON Schema that JSON files have to meet.", show_default=False)
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="What the files are; otherwise told by name and bytes.", show_default=False)
    ] = None,
    junit: JUnitOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every check of every file.")] = False,
    json: JsonOption = False,
) -> None:
    """Look at pictures, meshes, arrays, JSON, sound and film. Exit code 1 when one of them is not valid.

    Needs no server. Pictures, meshes and arrays need the extra: pip install 'seatrial\\[validate]'
    """
    check_writable(junit)
    chosen = _profile(profile, schema)
    found = find_outputs(paths)
    if not found.files:
        fail(
            f"there is nothing to look at in {', '.join(map(str, paths))}",
            ExitCode.USAGE,
            "name files, or folders that hold pictures, meshes, arrays, JSON, sound or film",
        )
    verdicts = _looked_at(found.files, chosen, kind)
    if junit is not None:
        _write_junit(junit, verdicts)
    if json:
        print_json(_told(verdicts, found, chosen))
    else:
        _show(verdicts, found, verbose or len(paths) == len(verdicts) == 1)
    if not all(verdict.is_valid for verdict in verdicts):
        raise typer.Exit(int(ExitCode.FAILED))


def _profile(name: str, schema: Path | None) -> Profile:
    try:
        chosen = profile_of(name)
        if schema is not None:
            chosen = replace(chosen, json=replace(chosen.json, schema=load_schema(schema)))
    except BadProfile as error:
        fail(str(error), ExitCode.USAGE)
    return chosen


def _looked_at(files: Sequence[Path], profile: Profile, kind: Kind | None) -> list[Verdict]:
    verdicts: list[Verdict] = []
    try:
        with _progress(len(files)) as step:
            for file in files:
                verdicts.append(validate_file(file, profile, kind))
                step()
    except MissingLibrary as missing:
        fail(f"these files cannot be looked at: {missing}", ExitCode.USAGE)
    except KeyboardInterrupt:
        invalid = sum(not verdict.is_valid for verdict in verdicts)
        fail(f"interrupted after {len(verdicts)} of {len(files)} files, {invalid} invalid", ExitCode.INTERRUPTED)
    return verdicts


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; one line elsewhere, when there are several files."""
    if total == 1 or not sys.stderr.isatty():
        if total > 1:
            note(f"looking at {total} files")
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("looking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking", total=total)
        yield lambda: bar.advance(task)


def _write_junit(path: Path, verdicts: Sequence[Verdict]) -> None:
    document = junit_xml("seatrial validate", [(verdict.name, verdict.findings) for verdict in verdicts])
    try:
        path.write_bytes(document)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", ExitCode.USAGE)


def _told(verdicts: Sequence[Verdict], found: Found, profile: Profile) -> dict[str, object]:
    valid = sum(verdict.is_valid for verdict in verdicts)
    return {
        "profile": profile.name,
        "files": len(verdicts),
        "valid": valid,
        "invalid": len(verdicts) - valid,
        "skipped": [str(path) for path in found.skipped],
        "results": [verdict.told() for verdict in verdicts],
    }


def _show(verdicts: Sequence[Verdict], found: Found, every_check: bool) -> None:
    if every_check:
        for verdict in verdicts:
            _show_checks(verdict)
    else:
        for verdict in verdicts:
            _show_what_is_wrong(verdict)
    valid = sum(verdict.is_valid for verdict in verdicts)
    skipped = f"; {len(found.skipped)} of no known kind were left out" if found.skipped else ""
    warned = sum(any(one.outcome is Outcome.WARNING for one in verdict.findings) for verdict in verdicts)
    print(f"{len(verdicts)} looked at: {valid} valid, {len(verdicts) - valid} invalid, {warned} with warnings{skipped}")


def _show_checks(verdict: Verdict) -> None:
    print(f"{verdict.name} ({verdict.kind.value}): {'valid' if verdict.is_valid else 'invalid'}")
    rows = [(one.outcome.value.replace("_", " "), one.id, one.message, one.remedy) for one in verdict.findings]
    print_table(["", "check", "found", "remedy"], rows, "")


def _show_what_is_wrong(verdict: Verdict) -> None:
    for one in verdict.findings:
        if one.outcome in (Outcome.FAILED, Outcome.WARNING):
            print(f"{verdict.name}: {one.outcome.value}: {one.message} [{one.id}]")
            print(f"  remedy: {one.remedy}")
