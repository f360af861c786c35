"""`seatrial jobs`: list, show, cancel, retry, logs, follow, save-sample."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.logs import all_lines, print_line
from seatrial.cli.options import DataOption, JsonOption, KeyOption, example
from seatrial.cli.screen import note, print_facts, print_json, print_table
from seatrial.cli.server import connect
from seatrial.domain.jobs import JobState
from seatrial.domain.limits import LIST_PAGE_MAX

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Look at jobs and act on them.",
    epilog=example("seatrial jobs list"),
)
IdArgument = Annotated[str, typer.Argument(help="The job.")]


@app.command("list", epilog=example("seatrial jobs list --endpoint floorplan --status failed"))
def list_jobs(
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint.", show_default=False)] = None,
    status: Annotated[list[JobState] | None, typer.Option(help="Only with this status; may be given often.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.", show_default=False)] = None,
    before: Annotated[
        str | None, typer.Option(help="Go on after this job of the page before.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIST_PAGE_MAX)] = 50,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    page = connect(data).get("/v1/jobs", endpoint=endpoint, status=status, task=task, before=before, limit=limit)
    if json:
        print_json(page)
        return
    rows = [_row(job) for job in page["jobs"]]
    print_table(["id", "endpoint", "task", "status", "submitted", "error"], rows, "no such jobs")
    if page["next"]:
        note(f"more: --before {page['next']}")


@app.command("show", epilog=example("seatrial jobs show 6f1c1f0e-0000-4000-8000-000000000000"))
def show(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Show a job: its status, what it waits for, its result or its failure."""
    job = connect(data).get(f"/v1/jobs/{id}")
    print_json(job) if json else _print_job(job)


@app.command("cancel", epilog=example("seatrial jobs cancel 6f1c1f0e-0000-4000-8000-000000000000"))
def cancel(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Cancel a job; a running one is answered for once its process is gone."""
    job = connect(data).call("POST", f"/v1/jobs/{id}/cancel").json()
    print_json(job) if json else print(f"{id} is {job['status']}")


@app.command("retry", epilog=example("seatrial jobs retry 6f1c1f0e-0000-4000-8000-000000000000"))
def retry(id: IdArgument, idempotency_key: KeyOption = None, data: DataOption = None, json: JsonOption = False) -> None:
    """Run an ended job's input again, as a new job; prints its id."""
    accepted = connect(data).submit(f"/v1/jobs/{id}/retry", idempotency_key)
    print_json(accepted) if json else print(accepted["id"])


@app.command("logs", epilog=example("seatrial jobs logs 6f1c1f0e-0000-4000-8000-000000000000"))
def logs(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Print what the job's attempts wrote."""
    for line in all_lines(connect(data), f"/v1/jobs/{id}/logs"):
        print_line(line, json)


@app.command("follow", epilog=example("seatrial jobs follow 6f1c1f0e-0000-4000-8000-000000000000"))
def follow(id: IdArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Print each change of a job until it ends; exit code 1 when it ends without a result."""
    job: dict[str, Any] = {}
    for _, job in connect(data).events(f"/v1/jobs/{id}/events"):
        if json:
            print(json_text.dumps(job, ensure_ascii=False), flush=True)
        else:
            waits = f", waits for {job['waits_for']}, until {job['waits_until']}" if job["waits_for"] else ""
            print(f"{job['status']} (attempt {job['attempt']}){waits}", flush=True)
    if job.get("status") != "succeeded":
        error = job.get("error") or {}
        fail(f"{error.get('error_type', job.get('status'))}: {error.get('message', 'the job has no result')}")


@app.command(
    "save-sample", epilog=example("seatrial jobs save-sample 6f1c1f0e-0000-4000-8000-000000000000 --to mypackage")
)
def save_sample(
    id: IdArgument,
    to: Annotated[Path, typer.Option(help="The package's folder.", file_okay=False)],
    name: Annotated[str | None, typer.Option(help="Of the sample.", show_default=False)] = None,
    write: Annotated[bool, typer.Option("--write", help="Declare it in seatrial.toml as well.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a sample of that name.")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a sample of a real job's input: the request that crashed yesterday is the next trial's proof."""
    from seatrial.cli.declaring import Manifest
    from seatrial.cli.saving import save

    if not to.is_dir():
        fail(f"{to} is not a folder", ExitCode.USAGE)
    manifest = Manifest(to / "seatrial.toml") if write else None
    saved = save(connect(data), id, to, name, manifest, force)
    if manifest is not None and saved.task is not None:
        manifest.declare(saved.task, saved.name, saved.toml)
    if json:
        print_json({"files": [str(path) for path in saved.files], "toml": saved.toml, "written": write})
        return
    for path in saved.files:
        note(f"wrote {path}")
    if saved.toml and not write:
        note("paste into seatrial.toml:")
        print(saved.toml)


def _row(job: dict[str, Any]) -> tuple[Any, ...]:
    error = (job["error"] or {}).get("error_type")
    return job["id"], job["endpoint"], job["task"], job["status"], job["submitted_at"], error


def _memory(memory: dict[str, Any] | None) -> str | None:
    """Such as "at most 120.5 MiB, 3.0 MiB more after it; device at most 1024.0 MiB"."""
    if memory is None:
        return None
    growth, device = memory["growth_bytes"], memory["device_peak_bytes"]
    after = f"{_mebibytes(abs(growth))} {'less' if growth < 0 else 'more'} after it"
    said = f"at most {_mebibytes(memory['peak_bytes'])}, {after}"
    return said if device is None else f"{said}; device at most {_mebibytes(device)}"


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"


def _print_job(job: dict[str, Any]) -> None:
    error = job["error"] or {}
    waits = f"{job['waits_for']}, until {job['waits_until']}" if job["waits_for"] else None
    facts = [("job", job["id"]), ("endpoint", job["endpoint"]), ("task", job["task"]), ("status", job["status"])]
    progress = None if job["progress"] is None else json_text.dumps(job["progress"], ensure_ascii=False)
    facts += [
        ("waits for", waits),
        ("progress", progress),
        ("attempt", job["attempt"]),
        ("submitted", job["submitted_at"]),
    ]
    facts += [("started", job["started_at"]), ("ended", job["ended_at"]), ("retry of", job["retry_of"])]
    facts += [("superseded by", job["superseded_by"]), ("memory", _memory(job["memory"]))]
    facts += [
        (part["name"], f"{part['uri']} ({part['media_type']}, {part['size_bytes']} bytes)") for part in job["parts"]
    ]
    if error:
        facts += [("failure", job["failure"]), ("error", f"{error.get('error_type')}: {error.get('message')}")]
        facts += [(key, value) for key, value in error.get("details", {}).items() if key != "traceback"]
    print_facts(facts)
    if "traceback" in error.get("details", {}):
        print(f"\n{error['details']['traceback']}")
