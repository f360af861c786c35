"""Are the libraries here that the contract's validators need? Without them no output could be proved valid."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.domain.contract import Contract
from seatrial.domain.media_types import extension_of
from seatrial.package.finding import Finding
from seatrial.package.problems import MANIFEST_NAME
from seatrial.prove.validate import MissingLibrary, checks_of, kind_of_name

ID = "validators"


def check_validators(contract: Contract) -> Iterator[Finding]:
    """One finding for each output whose validators cannot run in this installation."""
    for task in contract.tasks:
        outputs = [("", task.output.media_type, task.output.validate)]
        outputs += [(f".parts.{one.name}", one.media_type, one.validate) for one in task.output.parts]
        for below, media_type, validate in outputs:
            if validate is None or media_type is None:
                continue
            try:
                checks_of(kind_of_name(f"_{extension_of(media_type)}"))
            except MissingLibrary as missing:
                message = f"[tasks.{task.name}.output{below}] asks for validators of {media_type}, and {missing}."
                remedy = "Install it where the server runs (pip install 'seatrial[validate]'), or take `validate` out."
                yield Finding(ID, "unprovable", message, remedy, MANIFEST_NAME)
