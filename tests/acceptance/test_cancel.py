"""Cancelling over the wire: told once every process of the job is gone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor


def test_a_queued_job(api, gate):
    api.serve("queued")
    busy = api.submit("queued", gate.code + " or 1")
    gate.reached()
    waiting = api.submit("queued", "2")

    answer = api.http.post(f"/v1/jobs/{waiting}/cancel")

    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    document = json.loads(api.object(answer.json()["failure"]))
    assert (document["status"], document["error_type"], document["job_id"]) == ("error", "cancelled", waiting)
    assert api.published(answer.json()) == ["failure"]
    gate.open()
    assert api.value(busy) == 1


def test_a_running_job_with_offspring(api, gate, is_alive):
    api.serve("running")
    pids = api.run("running", "[os.getpid(), child(), daemon()]")
    assert all(map(is_alive, pids))
    job_id = api.submit("running", gate.code)
    gate.reached()

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(lambda: (api.job(job_id, wait=30), list(map(is_alive, pids))))
        answer = api.http.post(f"/v1/jobs/{job_id}/cancel")
        job, alive = waiting.result()

    assert (job["status"], answer.json()["status"]) == ("cancelled", "cancelled")
    assert alive == [False] * 3, "gone before anybody was told"
    assert api.published(job) == ["failure"]
    assert api.run("running", "os.getpid()") not in pids


def test_what_has_ended(api):
    api.serve("ended")
    job_id = api.submit("ended", "1")
    assert api.value(job_id) == 1
    answer = api.http.post(f"/v1/jobs/{job_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["error_type"] == "job_already_ended"
    assert api.job(job_id)["status"] == "succeeded"
    assert api.http.post("/v1/jobs/unknown/cancel").status_code == 404


def test_on_the_command_line(api, gate):
    api.serve("typed")
    job_id = api.submit("typed", gate.code)
    gate.reached()
    api.server.cli("jobs", "cancel", job_id)
    assert api.job(job_id)["status"] == "cancelled"
