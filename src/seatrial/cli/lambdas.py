"""`seatrial lambda …`: what people who come from AWS Lambda need on the command line."""

from __future__ import annotations

import typer

from seatrial.cli.lambda_worker import worker
from seatrial.cli.options import example

app = typer.Typer(help="AWS Lambda: runtimes that pull from here.", no_args_is_help=True)
app.command("worker", epilog=example("seatrial lambda worker thumbs -- python -m awslambdaric app.handler"))(worker)
