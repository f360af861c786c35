from seatrial.domain.errors import Unproven
from seatrial.domain.failures import Failure
from seatrial.engine.trial import failure_reason
from seatrial.engine.trial.reason import unproven


def test_it_names_the_stage_the_traceback_and_the_remedy():
    traceback = (
        "Traceback (most recent call last):\n  File x\n    import stygig\nModuleNotFoundError: No module named 'stygig'"
    )
    error = Unproven("load", "The model did not load", details={"traceback": traceback, "remedy": "Add stygig."})
    reason = failure_reason(error)
    assert reason.startswith("load: The model did not load")
    assert "ModuleNotFoundError: No module named 'stygig'" in reason
    assert reason.endswith("Remedy: Add stygig.")


def test_it_never_exceeds_the_wire_and_keeps_the_remedy():
    error = Unproven("prove", "x" * 5_000, details={"remedy": "Mend the handler."})
    reason = failure_reason(error)
    assert len(reason) == 1024
    assert reason.endswith("… Remedy: Mend the handler.")


def test_a_module_that_is_missing_is_named_in_the_remedy():
    failure = Failure("handler_error", "ModuleNotFoundError: No module named 'boto3'")
    reason = failure_reason(unproven("prove", "Sample 'one' failed", failure))
    assert reason.endswith("Remedy: Add 'boto3' to the package's requirements, then deploy again.")


def test_a_word_of_the_handlers_own_is_told():
    own = failure_reason(unproven("prove", "Sample 'one' failed", Failure("no_face", "There is nobody in it.")))
    assert own.startswith("prove: Sample 'one' failed: no_face: There is nobody in it. Remedy: ")
    ours = failure_reason(unproven("prove", "Sample 'one' failed", Failure("handler_error", "ValueError: no")))
    assert ours.startswith("prove: Sample 'one' failed: ValueError: no Remedy: ")
