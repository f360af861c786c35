"""A task that wants its device for itself: it interrupts nobody, and nobody runs beside it."""

from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[1] / "packages"
TASK = """
[tasks.{name}]
method = "do"
exclusive = {exclusive}

[tasks.{name}.input.code]
type = "string"
required = true

[tasks.{name}.output]
media_type = "application/json"
schema = {{ type = "object", required = ["value"] }}

[[tasks.{name}.samples]]
name = "sum"
input = "samples/sum.json"
"""


def studio() -> dict[str, str]:
    """Infers and trains on one device."""
    tasks = "".join(TASK.format(name=name, exclusive=alone) for name, alone in (("infer", "false"), ("train", "true")))
    folder = PACKAGES / "obedient"
    return {
        "obedient.py": (folder / "obedient.py").read_text(),
        "samples/sum.json": (folder / "samples" / "sum.json").read_text(),
        "seatrial.toml": '[package]\nhandler = "obedient:Obedient"\n[worker]\ncount = 2\n' + tasks,
    }


def test_training_waits_for_those_that_run_and_others_wait_for_it(own_api, gate, make_gate) -> None:
    own_api.serve("studio", studio())
    training = make_gate()

    def submit(task: str, code: str) -> str:
        answer = own_api.post("studio", {"code": code}, task=task)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    running = submit("infer", gate.code)
    gate.reached()
    alone = submit("train", training.code)
    assert own_api.value(submit("infer", "1")) == 1  # on the other worker, while the training waits
    waiting = own_api.job(alone)
    assert (waiting["status"], waiting["waits_for"]) == (
        "queued",
        "its device to be free of other jobs: its task is exclusive",
    )
    gate.open("done")
    assert own_api.value(running) == "done"

    training.reached()
    held_back = submit("infer", "2")
    assert own_api.job(held_back, wait=1)["status"] == "queued"
    training.open("trained")
    assert own_api.value(alone) == "trained"
    assert own_api.value(held_back) == 2


def test_an_endpoint_runs_no_more_at_once_than_it_may(own_api, gate) -> None:
    own_api.serve("narrow", "obedient", workers=2, concurrency_max=1)
    running = own_api.submit("narrow", gate.code)
    gate.reached()
    waiting = own_api.submit("narrow", "2")
    job = own_api.job(waiting, wait=1)
    assert (job["status"], job["waits_for"]) == ("queued", "one of the 1 jobs that its endpoint runs at once to end")
    gate.open("done")
    assert own_api.value(running) == "done"
    assert own_api.value(waiting) == 2
