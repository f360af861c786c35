"""Which requests a stress run sends."""

from seatrial.prove.contract import Contract, Sample, Task
from seatrial.prove.stress.variants import variants_of


def test_a_task_that_interferes_is_not_among_those_that_it_is_to_disturb() -> None:
    sample = Sample(name="a")
    infer, train = Task(name="infer", samples=(sample,)), Task(name="train", samples=(sample,))
    contract = Contract(tasks=(infer, train))
    assert [one.task.name for one in variants_of(contract)] == ["infer", "train"]
    assert [one.name for one in variants_of(contract, vary={"seed": [1, 2]}, interfering="train")] == [
        "infer/a seed=1",
        "infer/a seed=2",
    ]
    assert [one.task.name for one in variants_of(Contract(tasks=(train,)), interfering="train")] == ["train"]
    assert [one.task.name for one in variants_of(contract, ["train"], interfering="train")] == ["train"]
