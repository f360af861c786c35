"""A server whose jobs live in PostgreSQL: either of the two may die at any time, and every job ends once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

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


def test_who_gives_a_wrong_password_is_told_so_in_one_line(tmp_path, postgres: PostgresServer):
    url = postgres.url(password="not-the-password")
    command = [sys.executable, "-m", "seatrial", "serve", "--data", str(tmp_path / "data"), "--port", "0"]
    done = subprocess.run([*command, "--database", url], capture_output=True, text=True, timeout=60)
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
    command = [sys.executable, "-m", "seatrial", "serve", "--data", str(server.data), "--port", "0", *server.options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"another server (process {server.process.pid}) is running on {server.data}" in done.stderr
