"""Which of an endpoint's tasks predictions and trainings are."""

from __future__ import annotations

from seatrial.domain.contract import Contract, Task

TRAIN_NAMES = ("train", "training")
PREDICT = "predict"


def predict_task(contract: Contract) -> Task | None:
    """The one that is named `predict`, or the only one that is not for training; None: the input has to say."""
    named = contract.task(PREDICT)
    others = [one for one in contract.tasks if one is not train_task(contract)]
    return named or (others[0] if len(others) == 1 else None)


def train_task(contract: Contract) -> Task | None:
    """The one that is named (or also named) `train` or `training`."""
    return next((task for task in map(contract.task, TRAIN_NAMES) if task is not None), None)
