"""Live deployments on the command line: the words that name one, and the contract that it is held to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.failing import ExitCode, fail

if TYPE_CHECKING:
    from seatrial.prove.contract import Contract
    from seatrial.prove.targets import Target

TARGET_HELP = (
    "seatrial:NAME, http://host:8400/v1/endpoints/NAME, sagemaker:ENDPOINT[@REGION], runpod:ENDPOINT_ID, "
    "runpod+http://…, studio+http://… or cog+http://…"
)
InputsOption = Annotated[
    str | None,
    typer.Option(
        "--inputs",
        metavar="s3://BUCKET/PREFIX",
        help="Where inputs are stored for SageMaker; otherwise beside the outputs.",
        show_default=False,
    ),
]
CONTRACT_REMEDY = (
    "write one: `seatrial verify --init-contract contract.toml` makes a first one, or give a package's seatrial.toml"
)


def environment_of(target: str, data: Path | None, inputs: str | None) -> Mapping[str, str]:
    """What completes the target's words: the process's environment, and the data folder's server where it is meant."""
    environ = dict(os.environ)
    wire, _, name = target.partition(":")
    if inputs is not None:
        if wire != "sagemaker":
            remedy = "leave it out: inputs of other targets travel inside of the requests"
            fail(f"--inputs says where inputs of sagemaker: go, and the target is {target}", ExitCode.USAGE, remedy)
        environ["SEATRIAL_VERIFY_INPUTS"] = inputs
    if not name.strip():
        return environ  # no server could make a target of it
    if data is not None or (wire == "seatrial" and "SEATRIAL_URL" not in environ):
        from seatrial.cli.server import connect

        server = connect(data)
        environ |= {"SEATRIAL_URL": server.url, "SEATRIAL_API_KEY": server.api_key}
    return environ


@contextmanager
def opened_target(words: str, environ: Mapping[str, str]) -> Iterator[Target]:
    """The target; its troubles end the command."""
    from seatrial.prove.targets import BadTarget, Forbidden, TargetTrouble, Unknown, Unreachable, parse

    try:
        with parse(words, environ) as target:
            yield target
    except BadTarget as error:
        fail(str(error), ExitCode.USAGE, error.remedy or None)
    except (Unreachable, Forbidden) as error:
        fail(str(error), ExitCode.UNREACHABLE, error.remedy or None)
    except Unknown as error:
        fail(str(error), ExitCode.NOT_FOUND, error.remedy or None)
    except TargetTrouble as error:
        fail(str(error), ExitCode.FAILED, error.remedy or None)


def contract_of(target: Target, path: Path | None) -> Contract:
    """The contract of a file, else the one that the target tells; without samples the command ends."""
    from seatrial.prove.contract_file import BadContract, load_contract

    if path is not None:
        try:
            found = load_contract(path)
        except BadContract as error:
            fail(str(error), ExitCode.USAGE)
    else:
        told = target.contract()
        if told is None:
            fail(f"a {target.wire} deployment tells no samples: a contract is needed", ExitCode.USAGE, CONTRACT_REMEDY)
        found = told
    if not any(True for _ in found.samples()):
        where = path or "the endpoint's contract"
        fail(f"{where} has no samples: nothing could be shown to work", ExitCode.USAGE, CONTRACT_REMEDY)
    return found
