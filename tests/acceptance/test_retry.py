"""A retry is a new job with the same input; terminal states never change."""

from __future__ import annotations

import json


def test_a_failed_job_runs_again(api, gate):
    api.serve("again")
    job_id = api.submit("again", f"1 / len({gate.code})", priority=3)
    gate.reached()
    gate.open()
    old = api.ended(job_id)
    assert old["error"]["message"] == "division by zero"

    answer = api.http.post(f"/v1/jobs/{old['id']}/retry")

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
    gate.reached()
    gate.open("a")
    new = api.ended(answer.json()["id"])
    assert (new["status"], new["retry_of"], new["priority"]) == ("succeeded", old["id"], 3)
    assert new["result"] != old["result"]
    assert json.loads(api.object(new["result"])) == {"value": 1}
    assert api.ended(old["id"]) == old
    assert api.published(old) == ["failure"]


def test_what_has_not_ended_is_not_run_again(api, gate):
    api.serve("busy")
    job_id = api.submit("busy", gate.code + " or 1")
    gate.reached()
    answer = api.http.post(f"/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["error_type"]) == (409, "job_not_ended")
    gate.open()
    assert api.value(job_id) == 1


def test_an_input_by_reference_is_still_the_pinned_one(api):
    api.serve("pinned")
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="pinned-inputs")
    s3.put_object(Bucket="pinned-inputs", Key="a.json", Body=b'{"code": "1"}', ContentType="application/json")
    answer = api.http.post("/v1/endpoints/pinned/jobs", params={"input": "s3://pinned-inputs/a.json"})
    old = answer.json()["id"]
    assert api.value(old) == 1
    s3.put_object(Bucket="pinned-inputs", Key="a.json", Body=b'{"code": "2"}', ContentType="application/json")
    new = api.ended(api.http.post(f"/v1/jobs/{old}/retry").json()["id"])
    assert new["error"]["error_type"] == "input_changed"


def test_a_job_of_an_endpoint_that_is_gone(api):
    api.serve("leaving")
    job_id = api.submit("leaving", "1")
    assert api.value(job_id) == 1
    api.delete("leaving")
    answer = api.http.post(f"/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["error_type"]) == (404, "endpoint_not_found")
    assert api.job(job_id)["status"] == "succeeded"
