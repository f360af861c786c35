"""`seatrial trial reproduce` and `seatrial trial shell`: what a failed trial left, run by hand. No server is needed."""

from __future__ import annotations

import json as json_text
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.screen import note, print_json
from seatrial.cli.server import data_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.adapters.processes.by_hand import Place
    from seatrial.domain.failures import Failure

NameArgument = Annotated[str, typer.Argument(help="The endpoint.")]
NumberOption = Annotated[
    int | None, typer.Option("--version", help="The number of a version; otherwise the newest.", show_default=False)
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="The server's data folder; otherwise SEATRIAL_DATA, or ./seatrial-data.", show_default=False
    ),
]
SecretsOption = Annotated[
    bool,
    typer.Option(
        "--with-secrets",
        help="Read secrets where the server does (its environment's variables, its secrets folder); they are left out "
        "otherwise.",
    ),
]

ByHandJsonOption = Annotated[
    bool, typer.Option("--json", help="Print the exit code and the folder as JSON; output goes to standard error.")
]


def reproduce(
    name: NameArgument,
    number: NumberOption = None,
    pdb: Annotated[bool, typer.Option("--pdb", help="Open the debugger where the handler raises.")] = False,
    with_secrets: SecretsOption = False,
    data: FolderOption = None,
    json: ByHandJsonOption = False,
) -> None:
    """Run the handler by hand on the request that failed a trial, as its worker would.

    Exit code 1: it raises, or its answer says itself that it failed.
    """
    from seatrial.adapters.processes.by_hand import reproduce as run

    place = _place(data, name, number, json)
    _said_before(place)
    options = ["--pdb"] if pdb else []
    code = _run(lambda secrets: run(place, secrets, options), place, with_secrets)
    failure = _soft_failure(place) if code == 0 else None
    if failure is not None:
        code = 1
        note(f"This very answer is the failure: {failure.message} Remedy: {failure.details['remedy']}")
    elif code == 0:
        note("The handler answered: what failed the trial came afterwards, from other jobs, or is gone by now.")
    _end(place, code, json)


def _soft_failure(place: Place) -> Failure | None:
    """What the answer by hand says of its own failure, where the trial takes such words for one; None: nothing."""
    from seatrial.adapters.processes.by_hand import json_answer
    from seatrial.domain.checking import soft_failure
    from seatrial.domain.json_text import parse_answer_json

    answer = json_answer(place)
    if answer is None or not _told(place.folder / "trial.json").get("soft_failures", True):
        return None
    try:
        return soft_failure(parse_answer_json(answer))
    except ValueError:  # whether it must be sound JSON is for the contract to say
        return None


def shell(
    name: NameArgument,
    command: Annotated[
        list[str] | None, typer.Argument(help="After `--`: a command instead of a shell.", show_default=False)
    ] = None,
    number: NumberOption = None,
    with_secrets: SecretsOption = False,
    data: FolderOption = None,
    json: ByHandJsonOption = False,
) -> None:
    """Open a shell where the worker of a failed trial ran: its environment, variables, folders and fixed paths."""
    from seatrial.adapters.processes.by_hand import shell as run

    place = _place(data, name, number, json)
    if not command and sys.stdin.isatty():
        note(f"The package is the working directory; scratch: $SEATRIAL_SCRATCH; all that was kept: {place.folder}")
        note("Run the handler: python -c 'import inference', or in another shell " + _line(name, place))
    code = _run(lambda secrets: run(place, secrets, command or []), place, with_secrets)
    _end(place, code, json)


def _place(data: Path | None, name: str, number: int | None, json: bool) -> Place:
    """The remains of that trial; none end the command."""
    from seatrial.adapters.processes.by_hand import Place

    folder = data_folder(data).resolve()
    kept = {one.parent: _told(one) for one in sorted((folder / "remains").glob("*/trial.json"))}
    own = [(told["version"], place) for place, told in kept.items() if told["endpoint"] == name]
    found = [place for version, place in sorted(own) if number in (None, version)]
    if not found:
        others = ", ".join(sorted(f"{told['endpoint']} --version {told['version']}" for told in kept.values()))
        which = f" of version {number}" if number is not None else ""
        remedy = f"there are: {others}" if others else "name the server's data folder with --data"
        fail(f"no failed trial{which} of {name!r} is kept in {folder / 'remains'}", ExitCode.NOT_FOUND, remedy)
    return Place(found[-1], folder, sys.stderr.fileno() if json else None)


def _told(file: Path) -> dict[str, Any]:
    return dict(json_text.loads(file.read_text(encoding="utf-8")))


def _said_before(place: Place) -> None:
    told = _told(place.folder / "trial.json")
    note(f"{told['endpoint']} version {told['version']} failed at {told['stage']}: {told['message']}")


def _run(run: Callable[[dict[str, str]], int], place: Place, with_secrets: bool) -> int:
    from seatrial.adapters.processes.by_hand import NotRunnable

    declared = _told(place.folder / "trial.json")["secrets"]
    secrets = _secrets(declared, place) if with_secrets else {}
    left_out = [name for name in declared if name not in secrets]
    if left_out:
        hint = "" if with_secrets else " (--with-secrets reads them)"
        note(f"left out: the secrets {', '.join(left_out)}{hint}")
    try:
        return run(secrets | _own_key(place))
    except NotRunnable as error:
        fail(str(error))


def _secrets(declared: dict[str, str], place: Place) -> dict[str, str]:
    """Those that can be read here, from where the server reads them."""
    from seatrial.adapters.system.secrets import SecretReader
    from seatrial.config import load_settings
    from seatrial.domain.errors import Unproven

    read = SecretReader(load_settings({"data": str(place.data_dir)}, None).secrets_dir)
    found: dict[str, str] = {}
    for name, source in declared.items():
        try:
            found[name] = read(source)
        except Unproven as error:
            note(f"{error.message} Remedy: {error.details['remedy']}.")
    return found


def _own_key(place: Place) -> dict[str, str]:
    """The key that the server gives to workers of the endpoint: whoever reads the data folder has it anyway."""
    from seatrial.config import load_credentials, load_settings
    from seatrial.domain.credentials import worker_pair

    region = load_settings({"data": str(place.data_dir)}, None).region
    endpoint = _told(place.folder / "trial.json")["endpoint"]
    keys = worker_pair(load_credentials(place.data_dir, region), endpoint)
    return {"AWS_SECRET_ACCESS_KEY": keys.secret_access_key}


def _line(name: str, place: Place) -> str:
    number = str(_told(place.folder / "trial.json")["version"])
    return shlex.join(["seatrial", "trial", "reproduce", name, "--version", number, "--data", str(place.data_dir)])


def _end(place: Place, code: int, json: bool) -> None:
    if json:
        told = _told(place.folder / "trial.json")
        print_json(
            {"endpoint": told["endpoint"], "version": told["version"], "folder": str(place.folder), "exit_code": code}
        )
    raise typer.Exit(code)
