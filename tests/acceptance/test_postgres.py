"""A server whose jobs live in PostgreSQL: either of the two may die at any time, and every job ends once."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from botocore.exceptions import ClientError
from tests import forks

from seatrial.domain.limits import HEALTH_FRESH_MS
from seatrial.testing.postgres import PASSWORD, PostgresServer

JOBS = 120


@pytest.mark.timeout(240)
def test_jobs_survive_the_death_of_the_server_and_of_the_database(
    make_server, api_of, eventually, postgres: PostgresServer
):
    server = make_server("--database", postgres.database())
    api = api_of(server)
    api.serve("echo", "paced", workers=2)
    ids = [_submit(api, index) for index in range(JOBS // 2)]
    assert _states(api)["queued"] > 0
    server.kill()
    server.start()
    api.reconnect()
    ids += [_submit(api, index) for index in range(JOBS // 2, JOBS)]
    assert _states(api)["queued"] > 0
    postgres.kill()
    postgres.start()

    eventually(lambda: _states(api)["succeeded"] == JOBS, seconds=100)
    keys = [item["Key"] for item in server.client("s3").list_objects_v2(Bucket="seatrial-results")["Contents"]]
    assert len(keys) == JOBS
    assert not [key for key in keys if key.endswith("-error.out")]
    for index, job_id in list(enumerate(ids))[::20]:
        assert api.http.get(f"/v1/jobs/{job_id}/result").json() == {"text": f"job {index}"}
    _a_second_server_is_refused(server)
    assert not (server.data / "seatrial.db").exists()
    assert PASSWORD not in (server.data.parent / "server.log").read_text()


@pytest.mark.timeout(120)
def test_a_second_server_on_the_database_is_refused_and_does_no_harm(
    make_server, api_of, tmp_path, postgres: PostgresServer
):
    url = postgres.database()
    server = make_server("--database", url)
    api = api_of(server)
    api.serve("echo", "echo")
    refused = forks.run("serve", "--data", tmp_path / "other", "--port", 0, "--database", url)
    assert refused.returncode == 1
    said = refused.stderr.splitlines()[-1]  # before it, that this PostgreSQL runs without fsync
    assert said.startswith("seatrial: another server, on ")
    assert f"with the data folder {server.data}, is using this database; stop it first" in said
    job = api.post("echo", {"text": "still here"}).json()
    assert api.http.get(f"/v1/jobs/{job['id']}/result", params={"wait": 30}).json() == {"text": "still here"}

    server.terminate()  # a server that was stopped is waited for by nobody, and its endpoints are found
    moved = api_of(make_server("--database", url))
    endpoint = moved.until("echo", lambda one: one["status"] == "Failed")
    assert "the stored package is gone" in endpoint["failure_reason"]


@pytest.mark.timeout(120)
def test_health_is_asked_of_the_database_and_a_nul_character_is_told_to_its_sender(
    make_server, api_of, postgres: PostgresServer
):
    server = make_server("--database", postgres.database())
    api = api_of(server)
    api.serve("echo", "echo")
    for path, field in (
        ("/v1/jobs/a%00b", "job_id"),
        ("/v1/jobs/a%00b/result", "job_id"),
        ("/v1/jobs?task=a%00b", "task"),
    ):
        _is_told_of_its_nul(api.http.get(path), field)
    _is_told_of_its_nul(api.post("echo", {"text": "a"}, affinity="a\0b"), "affinity")
    job = api.post("echo", {"text": "a\0b"}).json()  # what only the handler reads is nobody else's business
    assert api.http.get(f"/v1/jobs/{job['id']}/result", params={"wait": 30}).json() == {"text": "a\0b"}
    with pytest.raises(ClientError) as refused:
        server.client("s3").get_object(Bucket="seatrial-results", Key="a\0b")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404)

    assert set(api.http.get("/healthz").json()["parts"].values()) == {"ok"}
    postgres.kill()
    try:
        time.sleep(HEALTH_FRESH_MS / 1000)  # the answer before is told again until then
        parts = api.http.get("/healthz").json()["parts"]
    finally:
        postgres.start()
    assert parts == {"jobs": "down", "objects": "down", "endpoints": "down", "logs": "ok"}


def _is_told_of_its_nul(answer, field: str) -> None:
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert (problem["error_type"], problem["field"]) == ("invalid_field", field)


def test_who_gives_a_wrong_password_is_told_so_in_one_line(tmp_path, postgres: PostgresServer):
    url = postgres.url(password="not-the-password")
    done = forks.run("serve", "--data", tmp_path / "data", "--port", 0, "--database", url)
    assert done.returncode == 1
    assert "check the user and the password" in done.stderr
    assert "not-the-password" not in done.stderr + done.stdout
    assert done.stderr.count("\n") == 1


def _submit(api, index: int) -> str:
    answer = api.post("echo", {"text": f"job {index}", "seconds": 0.1})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _states(api) -> Counter[str]:
    return Counter(api.endpoint("echo")["jobs"])


def _a_second_server_is_refused(server) -> None:
    done = forks.run("serve", "--data", server.data, "--port", 0, *server.options)
    assert done.returncode == 1
    assert f"another server (process {server.process.pid}) is running on {server.data}" in done.stderr
