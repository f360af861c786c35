"""What a trial says of itself: its estimate before it runs, and its reason when it fails."""

from dataclasses import replace

from seatrial.domain.errors import Unproven
from seatrial.engine.trial.estimate import Estimate
from seatrial.engine.trial.reason import failure_reason


def test_an_estimate_knows_its_runs_at_once_and_its_time_after_the_first() -> None:
    before = Estimate(samples=3, aliases_and_forms=1, pictures=0, drill_seconds=5, minutes_max=10)
    assert before.seconds is None
    assert before.words() == "will run 3 samples, 1 alias or form, a drill of 5 s, 10 minutes at most"
    after = replace(before, seconds_per_run=20.0)
    assert after.seconds == 4 * 20 + 4 * 20, "a slow drill is one more run of each sample, and one that is killed"
    assert replace(before, seconds_per_run=0.1).seconds == 4 * 0.1 + 5
    assert replace(after, drill_seconds=0).seconds == 80
    assert replace(after, minutes_max=2).seconds == 120
    assert replace(after, minutes_max=1).seconds == 60
    over = replace(after, samples=9, minutes_max=1)
    assert over.seconds == 180, "each sample runs, whatever the bound"
    assert "1 minute at most, but each sample once: about 180 s" in over.words()
    assert after.told()["seconds"] == 160
    assert replace(before, minutes_max=1).words().endswith(", 1 minute at most")


def test_the_line_that_reproduces_a_failure_is_never_cut() -> None:
    line = "seatrial trial reproduce plans --version 1 --data /srv/data"
    details = {"remedy": "Mend it. " * 200, "traceback": "frame\n" * 500, "reproduce": line}
    reason = failure_reason(Unproven("prove", "It broke. " * 300, details=details))
    assert len(reason) <= 1024
    assert reason.startswith("prove: It broke.")
    assert reason.endswith(f" Reproduce: {line}")
    shorter = failure_reason(Unproven("prove", "It broke. " * 300, details=details | {"remedy": "Mend it."}))
    assert shorter.startswith("prove: It broke.")
    assert shorter.endswith(f"… Remedy: Mend it. Reproduce: {line}")
    assert len(shorter) == 1024
