"""Handlers that take their process with them: the job pays, then the endpoint, and nobody else."""

from __future__ import annotations

import pytest


def test_a_poison_job_fails_and_the_others_finish(api):
    api.serve("poisoned")
    jobs = [api.submit("poisoned", code) for code in ("1", "os._exit(9)", "2", "3")]
    poisoned = api.ended(jobs.pop(1))
    assert (poisoned["status"], poisoned["error"]["error_type"]) == ("failed", "worker_crashed")
    assert (poisoned["deaths"], poisoned["attempt"]) == (3, 3)
    assert poisoned["error"]["details"]["exit_code"] == 9
    assert api.published(poisoned) == ["failure"]
    assert [api.value(one) for one in jobs] == [1, 2, 3]
    assert [api.ended(one)["deaths"] for one in jobs] == [0, 0, 0]
    assert api.endpoint("poisoned")["status"] == "InService"


@pytest.mark.slow
def test_an_endpoint_whose_every_request_kills_leaves_service(make_server, api_of):
    """Six different jobs in a row, with pauses that grow to eight seconds."""
    api = api_of(make_server("--worker-deaths-max", "1"))
    api.serve("doomed")
    jobs = [api.submit("doomed", "os.kill(os.getpid(), signal.SIGSEGV)") for _ in range(7)]

    endpoint = api.until("doomed", lambda one: one["status"] == "Failed")

    assert endpoint["failure_reason"].startswith("worker_crashed: Workers keep failing.")
    assert "SIGSEGV" in endpoint["failure_reason"]
    assert endpoint["workers"]["ready"] == 0
    seen = [api.job(one) for one in jobs]
    assert [one["status"] for one in seen] == ["failed"] * 6 + ["queued"]
    assert [one["deaths"] for one in seen] == [1] * 6 + [0]
    refused = api.post("doomed", {"code": "1"})
    assert (refused.status_code, refused.json()["error_type"]) == (409, "endpoint_not_in_service")
    assert "SIGSEGV" in refused.json()["detail"]
