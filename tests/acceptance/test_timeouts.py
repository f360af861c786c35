"""A handler that never ends costs its own job and nothing else."""

from __future__ import annotations

LOOP = "[None for _ in iter(int, 1)]"


def test_an_endless_loop_is_ended_with_its_process(api, is_alive):
    api.serve("looping")
    pids = api.run("looping", "[os.getpid(), child()]")

    job = api.ended(api.submit("looping", LOOP, timeout_seconds=1))

    assert not any(map(is_alive, pids))
    assert (job["status"], job["error"]["error_type"]) == ("failed", "invocation_timeout")
    assert (job["deaths"], job["attempt"]) == (0, 1)
    assert api.published(job) == ["failure"]
    assert api.run("looping", "os.getpid()") not in pids
    assert api.endpoint("looping")["status"] == "InService"


def test_the_timeout_of_the_package_holds_where_the_request_has_none(api):
    api.serve("strict", invocation_timeout_seconds=1)
    job_id = api.submit("strict", LOOP)
    behind = api.submit("strict", "2")
    assert api.ended(job_id)["error"]["error_type"] == "invocation_timeout"
    assert api.value(behind) == 2


def test_a_job_that_nobody_begins_in_time(api, gate):
    api.serve("crowded")
    busy = api.submit("crowded", gate.code + " or 1")
    gate.reached()
    job = api.ended(api.submit("crowded", "2", ttl_seconds=1))
    assert (job["status"], job["error"]["error_type"]) == ("failed", "queue_ttl_expired")
    assert (job["attempt"], job["started_at"]) == (0, None)
    assert api.published(job) == ["failure"]
    gate.open()
    assert api.value(busy) == 1
