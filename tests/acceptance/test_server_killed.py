"""kill -9 of the whole server with 1,000 queued and some running jobs: every job ends exactly once."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

JOBS = 1_000


def test_every_accepted_job_ends_once(server, package, eventually):
    server.cli("deploy", str(package("paced")), "--name", "echo", "--workers", "2")
    ids = _submit_all(server)
    assert len(set(ids)) == JOBS
    before = _states(server)
    assert before["queued"] > 0
    assert before["running"] > 0

    server.kill()
    server.start()

    eventually(lambda: _states(server)["succeeded"] == JOBS, seconds=100)
    s3 = server.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="seatrial-results", Prefix="echo/")
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    assert len(keys) == JOBS, f"one object each; before the kill: {before}"
    assert all(key.endswith(".out") and not key.endswith("-error.out") for key in keys)
    with _client(server) as client:
        for index, job_id in list(enumerate(ids))[::50]:
            answer = client.get(f"/v1/jobs/{job_id}/result").json()
            assert answer == {"text": f"job {index}"}, answer


def _client(server) -> httpx.Client:
    key = server.variables["SEATRIAL_API_KEY"]
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def _submit_all(server) -> list[str]:
    with _client(server) as client, ThreadPoolExecutor(8) as threads:

        def submit(index: int) -> str:
            answer = client.post("/v1/endpoints/echo/jobs", json={"text": f"job {index}", "seconds": 0.01})
            assert answer.status_code == 202, answer.text
            return str(answer.json()["id"])

        return list(threads.map(submit, range(JOBS)))


def _states(server) -> Counter[str]:
    with _client(server) as client:
        described = client.get("/v1/endpoints/echo").json()
    return Counter(json.loads(json.dumps(described["jobs"])))
