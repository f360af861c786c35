"""`seatrial`: every command, registered in one place."""

from __future__ import annotations

import typer

from seatrial.cli import deliveries, endpoints, jobs, lambdas, trials
from seatrial.cli.backup import backup, restore
from seatrial.cli.callbacks import callbacks
from seatrial.cli.canary import canary
from seatrial.cli.check import check
from seatrial.cli.demo import demo
from seatrial.cli.deploy import deploy
from seatrial.cli.describe import describe
from seatrial.cli.doctor import doctor
from seatrial.cli.env import env
from seatrial.cli.init import init
from seatrial.cli.invoke import invoke
from seatrial.cli.logs import logs
from seatrial.cli.options import example
from seatrial.cli.pack import pack
from seatrial.cli.serve import PRECEDENCE, ServeCommand, serve_command
from seatrial.cli.stress import stress
from seatrial.cli.trial_by_hand import reproduce, shell
from seatrial.cli.trial_logs import trial_logs
from seatrial.cli.trial_rerun import rerun
from seatrial.cli.trial_run import run
from seatrial.cli.validate import validate
from seatrial.cli.verify import verify
from seatrial.cli.version import version

app = typer.Typer(
    name="seatrial",
    help="An inference server for jobs that take seconds to hours: nothing serves unproven, no accepted job is lost.",
    epilog=example('seatrial serve, then in another shell: eval "$(seatrial env)"'),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command(epilog=example("seatrial init mymodel --sample payload.json"))(init)
app.command("serve", cls=ServeCommand, epilog=f"{PRECEDENCE}\n\n{example('seatrial serve --data models --port 8400')}")(
    serve_command
)
app.command(epilog=example('eval "$(seatrial env --data seatrial-data)"'))(env)
app.command(
    epilog=example(
        "seatrial check model.tar.gz --strict",
        "seatrial check image.tar --platform linux/amd64 --handler app.handler",
        "seatrial check model.tar.gz --source . --fix --include config --write fixed.tar.gz",
    )
)(check)
app.command(epilog=example("seatrial pack mymodel -o model.tar.gz"))(pack)
app.command(epilog=example("seatrial deploy mymodel --name mymodel --workers 2"))(deploy)
app.add_typer(endpoints.app, name="endpoints")
trials.app.command("run", epilog=example("seatrial trial run mymodel --junit trial.xml --max-minutes 10"))(run)
trials.app.command("logs", epilog=example("seatrial trial logs floorplan --stage prove"))(trial_logs)
trials.app.command("rerun", epilog=example("seatrial trial rerun floorplan --from drill"))(rerun)
trials.app.command("reproduce", epilog=example("seatrial trial reproduce floorplan --pdb"))(reproduce)
trials.app.command(
    "shell", epilog=example("seatrial trial shell floorplan", "seatrial trial shell floorplan -- pip list")
)(shell)
app.command(epilog=example("seatrial canary floorplan"))(canary)
app.add_typer(trials.app, name="trial")
app.command(epilog=example("seatrial describe floorplan --call curl"))(describe)
app.command(
    epilog=example(
        "seatrial invoke floorplan --input plan.png --task find_rooms --output rooms.json",
        "seatrial invoke echo --field text=hello --field times=2 --wait",
    )
)(invoke)
app.add_typer(jobs.app, name="jobs")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(lambdas.app, name="lambda")
app.command(epilog=example("seatrial logs floorplan --follow --since 5m"))(logs)
app.command(epilog=example("seatrial backup seatrial.tar --data seatrial-data"))(backup)
app.command(epilog=example("seatrial restore seatrial.tar --data restored"))(restore)
app.command(epilog=example("seatrial validate outputs/ --profile studio --junit report.xml"))(validate)
app.command(
    epilog=example(
        "seatrial stress seatrial:painter --vary seed=1..8 --concurrent 20",
        "seatrial stress studio+http://127.0.0.1:8091 --contract studio.toml --scenario concurrent --profile studio",
    )
)(stress)
app.command(
    epilog=example("seatrial callbacks --secret test-secret", "curl -X PUT localhost:8092/control -d '{\"fail\": 3}'")
)(callbacks)
app.command(
    epilog=example(
        "seatrial verify seatrial:floorplan",
        "seatrial verify sagemaker:gen3d@us-east-1 --contract contract.toml --html report.html --watch 15",
    )
)(verify)
app.command(epilog=example("seatrial doctor --data seatrial-data"))(doctor)
app.command(epilog=example("seatrial demo --plan plan.png"))(demo)
app.command(epilog=example("seatrial version --json"))(version)


def main() -> None:
    """Run the command line."""
    app()
