"""`seatrial verify`: does a live deployment work, as a stranger with its URL can tell?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, JUnitOption, example
from seatrial.cli.reports import check_writable
from seatrial.cli.screen import note, print_json, print_table
from seatrial.cli.targets import TARGET_HELP, InputsOption, contract_of, environment_of, opened_target
from seatrial.prove.finding import Outcome
from seatrial.prove.junit import junit_xml
from seatrial.prove.limits import LATENCY_SECONDS_DEFAULT

if TYPE_CHECKING:
    from seatrial.prove.contract import Contract
    from seatrial.prove.targets import Target
    from seatrial.prove.verify import Plan, Report, Verifier

_MARKS = {Outcome.OK: "passed", Outcome.FAILED: "FAILED", Outcome.WARNING: "warning", Outcome.NOT_APPLICABLE: "n/a"}


app = typer.Typer(add_completion=False)


@app.command(
    "verify",
    epilog=example(
        "seatrial verify seatrial:floorplan",
        "seatrial verify sagemaker:gen3d@us-east-1 --contract contract.toml --html report.html --watch 15",
    ),
)
def verify(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help=TARGET_HELP, show_default=False)] = None,
    contract: Annotated[
        Path | None,
        typer.Option(
            help="TOML or JSON with tasks, samples and budgets; a package's seatrial.toml is one. A Seatrial endpoint "
            "tells its own.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only print what a run takes: permissions and invocations.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before invocations are sent.")] = False,
    latency: Annotated[
        float, typer.Option(help="Seconds that the first task may take, where it declares no latency_seconds_max.")
    ] = LATENCY_SECONDS_DEFAULT,
    inputs: InputsOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave inputs and outputs there.")] = False,
    junit: JUnitOption = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a page with the pictures to this file too.", show_default=False),
    ] = None,
    watch: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Repeat as a canary, until Ctrl-C.", show_default=False)
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="With --watch: end after so many.", show_default=False)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as failures.")] = False,
    init_contract: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a first contract file, and end.", show_default=False),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Verify a live deployment from outside: Seatrial, SageMaker, RunPod, Cog, or a studio server.

    Runs every sample of every task, looks at outputs, logs, failures and scaling, and sends two bad requests.

    Exit code 0: it works; 1: something failed; 2: usage; 3: no server answers, or it refuses the
    credentials; 4: no such endpoint.
    """
    if init_contract is not None and target is None:
        _write_template(init_contract)
        return
    if target is None:
        fail("name a target", ExitCode.USAGE, TARGET_HELP)
    _check_options(watch, rounds, latency)
    check_writable(junit, html)
    with opened_target(target, environment_of(target, data, inputs)) as opened:
        if init_contract is not None:
            _write_told_contract(opened, init_contract)
            return
        verifier = _verifier(opened, contract_of(opened, contract), latency, keep)
        if plan:
            _show_plan(verifier.plan, json)
            return
        if not json:
            _show_plan(verifier.plan, False)
        _agree(verifier.plan, yes, watch)
        _Rounds(verifier, junit, html, json, strict).run(watch, rounds)


class _Rounds:
    """One round, or one after the other."""

    def __init__(self, verifier: Verifier, junit: Path | None, html: Path | None, json: bool, strict: bool) -> None:
        self._verifier = verifier
        self._junit = junit
        self._html = html
        self._json = json
        self._strict = strict

    def run(self, minutes: float | None, rounds: int | None) -> None:
        """Ends the command with the exit code of the last round."""
        try:
            report = self._round()
        except KeyboardInterrupt:
            fail(
                "interrupted; what was under way is cancelled where the wire can, and what was stored is removed",
                ExitCode.INTERRUPTED,
            )
        if minutes is None:
            self._show(report)
            raise typer.Exit(self._code(report))
        done = 1
        try:
            while True:
                self._show_line(report)
                if rounds is not None and done >= rounds:
                    break
                time.sleep(minutes * 60)
                report = self._round()
                done += 1
        except KeyboardInterrupt:
            note(f"ended after {done} rounds")
        raise typer.Exit(self._code(report))

    def _round(self) -> Report:
        from seatrial.prove.validate import MissingLibrary

        try:
            with _progress() as progress:
                report = self._verifier.run(progress)
        except MissingLibrary as missing:
            fail(f"an output cannot be looked at: {missing}", ExitCode.USAGE)
        self._write(report)
        return report

    def _write(self, report: Report) -> None:
        from seatrial.prove.verify import html_page

        if self._junit is not None:
            _write(self._junit, junit_xml(f"seatrial verify {report.plan.target}", report.suites()))
        if self._html is not None:
            _write(self._html, html_page(report))

    def _show(self, report: Report) -> None:
        if self._json:
            print_json(report.told())
            return
        points = {id_: point for id_, _, point in report.plan.checks}
        rows = [
            (_MARKS[one.outcome], points[one.id], one.id, line.subject, one.message)
            for line in report.lines
            for one in (line.finding,)
        ]
        print_table(["", "point", "check", "of", "found"], rows, "")
        for line in report.lines:
            if line.finding.remedy and line.finding.outcome is not Outcome.OK:
                print(f"{line.finding.id} {line.subject}".rstrip() + f": remedy: {line.finding.remedy}")
        print(report.verdict)

    def _show_line(self, report: Report) -> None:
        """One line a round."""
        if self._json:
            import json

            print(json.dumps(report.told(), ensure_ascii=False), flush=True)
            return
        first = f" ({report.failed[0].finding.id}: {report.failed[0].finding.message})" if report.failed else ""
        print(f"{report.began} {report.verdict}{first}", flush=True)

    def _code(self, report: Report) -> int:
        well = report.passed and not (self._strict and report.count(Outcome.WARNING))
        return int(ExitCode.OK if well else ExitCode.FAILED)


# ---------------------------------------------------------------- before the first round


def _check_options(watch: float | None, rounds: int | None, latency: float) -> None:
    if watch is not None and watch <= 0:
        fail(f"--watch {watch:g} is no pause", ExitCode.USAGE, "minutes above 0, such as --watch 15")
    if rounds is not None and (watch is None or rounds < 1):
        fail("--rounds says how many rounds of --watch there are", ExitCode.USAGE, "--watch 15 --rounds 4")
    if latency <= 0:
        fail(f"--latency {latency:g} is no budget", ExitCode.USAGE, "seconds above 0")


def _verifier(target: Target, contract: Contract, latency: float, keep: bool) -> Verifier:
    from seatrial.prove.targets import Unknown
    from seatrial.prove.verify import Settings, Verifier

    try:
        target.describe()
    except Unknown:
        note(f"there is no endpoint {target.name}")  # the report says so
    return Verifier(target, contract, Settings(latency_seconds=latency, keep=keep))


def _show_plan(plan: Plan, json: bool) -> None:
    if json:
        print_json(plan.told())
        return
    print(f"{plan.wire} {plan.target}: {plan.invocations} invocations ({plan.invocations_max} if it is cold)")
    print(f"  {', '.join(plan.requests)}")
    print("permissions:")
    for one in plan.permissions:
        print(f"  {one}")


def _agree(plan: Plan, yes: bool, watch: float | None) -> None:
    """On a terminal, ask before anything is invoked."""
    import sys

    if yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    each = f" every {watch:g} minutes" if watch is not None else ""
    if not typer.confirm(f"Send {plan.invocations} invocations{each}?", default=True):
        raise typer.Exit(int(ExitCode.OK))


# ---------------------------------------------------------------- contracts to begin with, and files


def _write_template(path: Path) -> None:
    from seatrial.prove.contract_file import TEMPLATE

    _write_new(path, TEMPLATE.encode())


def _write_told_contract(target: Target, path: Path) -> None:
    """The contract that a Seatrial endpoint tells, else the one to begin with."""
    from seatrial.prove.contract_file import TEMPLATE
    from seatrial.prove.targets.seatrial import SeatrialTarget

    if isinstance(target, SeatrialTarget):
        import json

        _write_new(path.with_suffix(".json"), json.dumps(target.told_contract(), indent=2).encode())
        return
    _write_new(path, TEMPLATE.encode())


def _write_new(path: Path, content: bytes) -> None:
    if path.exists():
        fail(f"{path} is there already", ExitCode.USAGE, "name another file, or remove it")
    _write(path, content)
    print(f"wrote {path}: change it to what your endpoint takes, then seatrial verify TARGET --contract {path}")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", ExitCode.USAGE)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A spinner that says what is being done on a terminal; nothing elsewhere."""
    import sys

    if not sys.stderr.isatty():
        yield lambda words: None
        return
    from rich.console import Console

    with Console(stderr=True).status("verifying") as status:
        yield lambda words: status.update(f"verifying: {words}")
