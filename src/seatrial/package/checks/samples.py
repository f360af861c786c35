"""Is there a sample to prove every task with?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.domain.contract import Contract
from seatrial.package.finding import Finding

ID = "samples"  # a deployment refuses every finding of it, unless it is waived: --unproven
REMEDY = (
    "Add one (`seatrial jobs save-sample JOB` makes it of a real job), name a folder of them with `--samples DIR`, "
    "or deploy with `--unproven`."
)


def check_samples(contract: Contract) -> Iterator[Finding]:
    """One finding for each task that nothing proves; without declared tasks only a deployment needs a sample."""
    if not contract.declared:
        if not contract.loose_samples:
            message = "The package has no sample: no samples/NAME.json with the body of a request."
            yield Finding(ID, "warning", message, REMEDY, "samples")
        return
    for task in contract.tasks:
        if not task.samples:
            message = f"The task {task.name!r} has no sample: no [[tasks.{task.name}.samples]]."
            yield Finding(ID, "error", message, REMEDY, "seatrial.toml")
