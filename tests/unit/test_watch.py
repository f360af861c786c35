import dataclasses

from seatrial.domain.jobs import Job, JobInput, JobPurpose, JobState, OutputPlan
from seatrial.domain.limits import RECENT_JOBS_MAX
from seatrial.domain.objects import ObjectName
from seatrial.engine.watch import Ended, Watch


def job(job_id: str, state: JobState) -> Job:
    return Job(
        id=job_id, owner="o", endpoint_id="e", endpoint_name="n", version_id=None, purpose=JobPurpose.CLIENT, door="v1",
        task=None, state=state, priority=5, attempt=1, deaths=0, input=JobInput("application/json", b"{}"),
        output=OutputPlan(ObjectName("b", "k"), ObjectName("b", "f")), accept="*/*", attributes={}, submitted_at_ms=0,
        queue_deadline_ms=1, invocation_timeout_ms=1, decide_by_ms=1,
    )  # fmt: skip


def test_a_job_that_ended_before_its_submitter_was_told_is_not_pending():
    watch = Watch()
    watch.changed([job("a", JobState.SUCCEEDED)])
    watch.accepted("a")
    assert not watch.is_pending("a")


def test_listeners_hear_each_change_until_they_stop():
    watch, heard = Watch(), []
    stop = watch.listen("a", heard.append)
    running, done = job("a", JobState.RUNNING), job("a", JobState.SUCCEEDED)
    watch.changed([running, job("b", JobState.RUNNING)])
    stop()
    watch.changed([done])
    assert heard == [running]


def test_what_it_remembers_is_bounded():
    watch = Watch()
    for number in range(RECENT_JOBS_MAX + 5):
        watch.ended(Ended(dataclasses.replace(job("x", JobState.FAILED), id=str(number)), {}))
    assert watch.recent("4") is None
    assert watch.recent(str(RECENT_JOBS_MAX + 4)) is not None
