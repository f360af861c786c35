"""Which of an endpoint's tasks the protocol's two kinds of job are."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.domain.contract import Contract, Task
from seatrial.domain.errors import UNKNOWN_TASK, BadInput
from seatrial.domain.jobs import Job
from seatrial.http.dialects.studio.requests import LORA_TRAINING
from seatrial.http.dialects.studio.status import INFERENCE, TRAINING

KIND = "studio_job_type"  # the attribute of jobs that came by this protocol
TRAINING_NAMES = (LORA_TRAINING, "training", "train")


def inference_task(contract: Contract) -> Task | None:
    """The one that is not for training, or the one that is named `inference`; None: the request has to say."""
    others = [one for one in contract.tasks if one is not training_task(contract)]
    return others[0] if len(others) == 1 else contract.task(INFERENCE)


def training_task(contract: Contract) -> Task | None:
    """The one that is named (or also named) `lora_training`, `training` or `train`."""
    return next((task for task in map(contract.task, TRAINING_NAMES) if task is not None), None)


def task_of_type(contract: Contract, job_type: str) -> Task:
    """The task for a `job_type` of /train.

    Raises:
        BadInput: the endpoint has none for it.
    """
    task = contract.task(job_type) or (training_task(contract) if job_type == LORA_TRAINING else None)
    if task is None:
        valid = "a job_type that is a task of the endpoint; lora_training is also its task `training` or `train`"
        raise BadInput(UNKNOWN_TASK, f"No task is for {job_type[:100]!r} here.", field="job_type", valid=valid)
    return task


def takes(contract: Contract, task: Task | None) -> Callable[[str], bool]:
    """Whether a field of the protocol may be given to the task's handler."""
    if not contract.declared:
        return lambda name: True
    if task is None:
        return lambda name: False
    return lambda name: task.extra_fields or task.field_named(name) is not None


def kind_of(job: Job) -> str:
    """`inference` or `training`, whichever door the job came by."""
    given = job.attributes.get(KIND)
    return given or (TRAINING if job.task in TRAINING_NAMES else INFERENCE)
