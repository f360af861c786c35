"""`seatrial stress`: races, found from outside."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import DataOption, JsonOption, JUnitOption, example
from seatrial.cli.reports import check_writable
from seatrial.cli.screen import note, print_json
from seatrial.cli.targets import TARGET_HELP, InputsOption, contract_of, environment_of, opened_target
from seatrial.prove.contract import Contract
from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.junit import junit_xml
from seatrial.prove.limits import COLD_START_SECONDS_DEFAULT, POLL_SECONDS_MAX, STRESS_JOBS_MAX
from seatrial.prove.stress.settings import ScenarioName, Settings
from seatrial.prove.stress.variants import BadVariants, Variant, exclusive_of, read_variations, variants_of
from seatrial.prove.targets import Target
from seatrial.prove.validate import BadProfile, MissingLibrary, profile_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from seatrial.prove.stress.callbacks import Callbacks
    from seatrial.prove.stress.report import Report
    from seatrial.prove.stress.run import Plan, Progress

_ALONE_REMEDY = "`seatrial verify` and the target's log say more"
_LINE_PAUSE_SECONDS = 5.0
_DEFAULTS = Settings()


app = typer.Typer(add_completion=False)


@app.command(
    "stress",
    epilog=example(
        "seatrial stress seatrial:painter --vary seed=1..8 --concurrent 20",
        "seatrial stress studio+http://127.0.0.1:8091 --contract studio.toml --scenario concurrent --profile studio",
    ),
)
def stress(
    target: Annotated[str, typer.Argument(metavar="TARGET", help=TARGET_HELP)],
    contract: Annotated[
        Path | None, typer.Option(help="Tasks and samples, where the target does not tell its own.", show_default=False)
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Only this task; may be given several times.", show_default=False)
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=V1,V2",
            help="Send every sample with each of these values, such as lora=a,b or seed=1..8.",
            show_default=False,
        ),
    ] = None,
    interfere: Annotated[
        str | None,
        typer.Option(
            metavar="TASK", help="The task that interferes; else the contract's exclusive one.", show_default=False
        ),
    ] = None,
    scenario: Annotated[
        list[ScenarioName] | None,
        typer.Option(help="Only this scenario; may be given several times.", show_default=False),
    ] = None,
    concurrent: Annotated[int, typer.Option(help="Requests at once.")] = _DEFAULTS.concurrent,
    sequential: Annotated[int, typer.Option(help="Requests in a row.")] = _DEFAULTS.sequential,
    rounds: Annotated[int, typer.Option(help="How often each of those.")] = _DEFAULTS.rounds,
    rate: Annotated[float, typer.Option(help="Requests per second of the soak.")] = _DEFAULTS.rate,
    soak_seconds: Annotated[float, typer.Option(help="How long the soak lasts.")] = _DEFAULTS.soak_seconds,
    patience: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="After which an answer counts as lost; else as its task says.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order of requests.")] = _DEFAULTS.seed,
    profile: Annotated[
        str | None,
        typer.Option(
            help="What outputs have to be like: default, studio, or a TOML file; else as the contract says.",
            show_default=False,
        ),
    ] = None,
    callbacks: Annotated[bool, typer.Option(help="Ask for callbacks, and match them with the jobs.")] = True,
    base_url: Annotated[
        str | None, typer.Option(help="How the target reaches the receiver of its callbacks.", show_default=False)
    ] = None,
    callback_host: Annotated[str, typer.Option(help="Where that receiver listens.")] = "127.0.0.1",
    callback_port: Annotated[int, typer.Option(help="And at which port; 0: any.", min=0, max=65535)] = 0,
    callback_patience: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long callbacks are waited for after the last job.", min=0)
    ] = _DEFAULTS.callback_seconds,
    secret: Annotated[
        str | None,
        typer.Option(
            help="What callbacks are signed with; else SEATRIAL_WEBHOOK_SECRET.",
            envvar="SEATRIAL_CALLBACK_SECRET",
            show_default=False,
        ),
    ] = None,
    inputs: InputsOption = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the outputs of bad jobs here.", show_default=False)
    ] = None,
    junit: JUnitOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Press a live deployment, and look at every output. Exit code 1: a job is bad; 3: the target cannot be used.

    Each request is first sent alone; then many at once, in rapid succession, beside an exclusive task, and at a rate.
    Outputs that are lost, damaged, crossed, doubled, or not what the request gives alone are listed with their jobs.
    """
    from seatrial.prove.stress.run import NO_EXCLUSIVE, Plan

    check_writable(junit)
    try:
        settings = Settings(
            scenarios=tuple(scenario) if scenario else tuple(ScenarioName),
            concurrent=concurrent,
            sequential=sequential,
            rounds=rounds,
            rate=rate,
            soak_seconds=soak_seconds,
            patience_seconds=patience,
            callback_seconds=callback_patience,
            seed=seed,
        )
        variations = read_variations(vary or ())
        with opened_target(target, environment_of(target, data, inputs)) as found:
            _look_whether_it_serves(found)
            known = _held_to(contract_of(found, contract), profile)
            variants, exclusive = variants_of(known, task or (), variations, interfere), exclusive_of(known, interfere)
            if exclusive is None and set(settings.scenarios) == {ScenarioName.INTERFERENCE}:
                fail(NO_EXCLUSIVE, ExitCode.USAGE)
            asked = _Asked(callbacks, base_url, callback_host, callback_port, secret)
            with _receiver(found, asked, variants) as (receiver, skipped):
                report = _pressed(found, Plan(settings, variants, exclusive, receiver, skipped, keep), junit)
    except (ValueError, BadVariants, BadProfile) as error:
        fail(str(error), ExitCode.USAGE)
    except MissingLibrary as missing:
        fail(f"the outputs cannot be looked at: {missing}", ExitCode.USAGE)
    except KeyboardInterrupt:
        fail("interrupted before anything was sent", ExitCode.INTERRUPTED)
    _show(report, junit, json)


# ---------------------------------------------------------------- before anything is sent


def _look_whether_it_serves(target: Target) -> None:
    told = target.describe()
    if told.starting:
        note(f"{told.name} is {told.status}: it is waited for")
    give_up = time.monotonic() + COLD_START_SECONDS_DEFAULT
    while told.starting and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS_MAX)
        told = target.describe()
    if not told.in_service:
        words = f"{told.name} is not in service: {told.status}"
        reason = f" ({told.reason})" if told.reason else ""
        fail(words + reason, ExitCode.UNREACHABLE, "`seatrial verify` says more")


def _held_to(contract: Contract, profile: str | None) -> Contract:
    """The contract, with that profile for every output."""
    if profile is None:
        return contract
    chosen = profile_of(profile)
    tasks = (replace(one, output=replace(one.output, profile=chosen)) for one in contract.tasks)
    return replace(contract, tasks=tuple(tasks))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says about callbacks."""

    wanted: bool
    base_url: str | None
    host: str
    port: int
    secret: str | None


@contextmanager
def _receiver(target: Target, asked: _Asked, variants: Sequence[Variant]) -> Iterator[tuple[Callbacks | None, str]]:
    """The addresses for callbacks, or why there are none."""
    from seatrial.prove.callbacks import CannotListen, Inbox, receiving
    from seatrial.prove.callbacks.server import is_loopback
    from seatrial.prove.stress.callbacks import Callbacks

    skipped = ""
    if not asked.wanted:
        skipped = "--no-callbacks"
    elif not any(target.calls_back(variant.request) for variant in variants):
        skipped = f"the {target.wire} wire calls nobody back for one request"
    elif asked.base_url is None and not is_loopback(urlsplit(target.url).hostname or ""):
        skipped = "the target cannot reach this machine's loopback: --base-url (with --callback-host) says how it can"
    if skipped:
        yield None, skipped
        return
    given, known = _secrets(target, asked)
    with tempfile.TemporaryDirectory(prefix="seatrial-callbacks-") as folder:
        try:
            inbox = Inbox(Path(folder), profile=None, kept_max=STRESS_JOBS_MAX)
            address = {"host": asked.host, "port": asked.port, "base_url": asked.base_url}
            with receiving(inbox, **address, secrets=known) as receiver:  # type: ignore[arg-type]
                yield Callbacks(receiver, given), ""
        except CannotListen as error:
            fail(str(error), ExitCode.USAGE, error.remedy)


def _secrets(target: Target, asked: _Asked) -> tuple[str | None, tuple[str, ...]]:
    """The word that requests carry for their callbacks, and what the receiver holds callbacks against."""
    if target.wire == "studio":
        word = asked.secret or secrets.token_urlsafe(24)
        return word, (word,)
    known = asked.secret or (os.environ.get("SEATRIAL_WEBHOOK_SECRET") if target.wire == "seatrial" else None)
    return None, (known,) if known else ()


# ---------------------------------------------------------------- the run


def _pressed(target: Target, plan: Plan, junit: Path | None) -> Report:
    from seatrial.prove.stress.baseline import BaselineFailed
    from seatrial.prove.stress.run import Run

    settings = plan.settings
    count = sum(settings.jobs_of(one) for one in settings.scenarios if one is not ScenarioName.INTERFERENCE)
    if ScenarioName.INTERFERENCE in settings.scenarios and plan.exclusive is not None:
        count += settings.jobs_of(ScenarioName.INTERFERENCE)
    alone = len(plan.variants) * settings.baseline_repeats
    note(f"{target.wire}:{target.name}: {len(plan.variants)} distinct requests; {alone} alone, then {count} under load")
    try:
        with _progress() as progress:
            return Run(target, plan, progress).run()
    except BaselineFailed as failed:
        _write_junit(junit, [("baseline", [Finding("stress.alone", Outcome.FAILED, str(failed), _ALONE_REMEDY)])])
        fail(f"it fails without any load: {failed}", ExitCode.FAILED, _ALONE_REMEDY)


class _Lines:
    """A line when something begins, and one now and then."""

    def __init__(self) -> None:
        self._what, self._total, self._done, self._bad, self._said = "", 0, 0, 0, 0.0

    def begin(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._bad, self._said = what, total, 0, 0, time.monotonic()
        note(f"{what}: {total} requests")

    def step(self, bad: bool) -> None:
        self._done += 1
        self._bad += bad
        if self._done == self._total or time.monotonic() - self._said >= _LINE_PAUSE_SECONDS:
            self._said = time.monotonic()
            note(f"{self._what}: {self._done} of {self._total}" + (f", {self._bad} bad" if self._bad else ""))


class _Bars:
    """A bar for each thing that begins."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._bad = 0

    def begin(self, what: str, total: int) -> None:
        self._bad = 0
        self._task = self._bars.add_task(what, total=total, bad="")

    def step(self, bad: bool) -> None:
        if self._task is not None:
            self._bad += bad
            self._bars.update(self._task, advance=1, bad=f"{self._bad} bad" if self._bad else "")


@contextmanager
def _progress() -> Iterator[Progress]:
    """Bars on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with RichProgress(*columns, TextColumn("[red]{task.fields[bad]}"), console=Console(stderr=True)) as bars:
        yield _Bars(bars)


# ---------------------------------------------------------------- after it


def _write_junit(path: Path | None, suites: Sequence[tuple[str, Sequence[Finding]]]) -> None:
    if path is None:
        return
    try:
        path.write_bytes(junit_xml("seatrial stress", suites))
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", ExitCode.USAGE)


def _show(report: Report, junit: Path | None, as_json: bool) -> None:
    from seatrial.prove.stress.report import summary_lines

    _write_junit(junit, report.suites())
    if as_json:
        print_json(report.told())
    else:
        for line in summary_lines(report):
            print(line)
    if report.interrupted:
        raise typer.Exit(int(ExitCode.INTERRUPTED))
    if not report.passed:
        raise typer.Exit(int(ExitCode.FAILED))
