"""`seatrial lambda …`: what people who come from AWS Lambda need on the command line."""

from __future__ import annotations

import typer

from seatrial.cli.lambda_run import run
from seatrial.cli.lambda_worker import worker
from seatrial.cli.options import example

app = typer.Typer(
    add_completion=False,
    help="AWS Lambda: functions on this machine, and runtimes that pull from here.",
    no_args_is_help=True,
)
app.command(
    "run",
    epilog=example(
        "seatrial lambda run my-function app.handler --port 9000",
        "curl http://127.0.0.1:9000/2015-03-31/functions/function/invocations -d '{}'",
    ),
)(run)
app.command("worker", epilog=example("seatrial lambda worker thumbs -- python -m awslambdaric app.handler"))(worker)
