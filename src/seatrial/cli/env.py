"""`seatrial env`: the variables that point every client at this server."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, example
from seatrial.cli.screen import print_json
from seatrial.cli.server import data_folder

if TYPE_CHECKING:
    from seatrial.config import RunningServer
    from seatrial.domain.credentials import Credentials

# Our word for each service -> AWS's variables, by botocore's service ids.
SERVICES = {
    "sagemaker": ("AWS_ENDPOINT_URL_SAGEMAKER", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"),
    "s3": ("AWS_ENDPOINT_URL_S3",),
    "lambda": ("AWS_ENDPOINT_URL_LAMBDA",),
    "logs": ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",),
    "sts": ("AWS_ENDPOINT_URL_STS",),
}


app = typer.Typer(add_completion=False)


@app.command("env", epilog=example('eval "$(seatrial env --data seatrial-data)"'))
def env(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data folder of the server. Otherwise SEATRIAL_DATA, or ./seatrial-data.", show_default=False
        ),
    ] = None,
    services: Annotated[
        str | None,
        typer.Option(help=f"Only these services come here, the rest stays real AWS: {','.join(SERVICES)}."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the variables that point boto3, aws, curl and seatrial at a running server."""
    from seatrial.config import ConfigError, load_credentials, read_running

    folder = data_folder(data)
    try:
        running = read_running(folder)
        credentials = load_credentials(folder, running.region)
    except ConfigError as error:
        fail(str(error), ExitCode.UNREACHABLE)
    values = variables(running, credentials, _chosen(services))
    if json:
        print_json(values)
        return
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")


def variables(running: RunningServer, credentials: Credentials, services: list[str] | None) -> dict[str, str]:
    """The variables and their values; `services` None: every AWS service."""
    endpoints = ["AWS_ENDPOINT_URL"] if services is None else [one for name in services for one in SERVICES[name]]
    url = running.public_url or running.url
    return dict.fromkeys(endpoints, url) | {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_DEFAULT_REGION": credentials.region,
        "SEATRIAL_URL": url,
        "SEATRIAL_API_KEY": credentials.api_key,
        "SEATRIAL_WEBHOOK_SECRET": credentials.webhook_secret,
    }


def _chosen(services: str | None) -> list[str] | None:
    if services is None:
        return None
    chosen = [name.strip() for name in services.split(",") if name.strip()]
    unknown = next((name for name in chosen if name not in SERVICES), None)
    if unknown or not chosen:
        fail(f"{unknown or services!r} is not a service here", ExitCode.USAGE, f"one or more of {', '.join(SERVICES)}")
    return chosen
