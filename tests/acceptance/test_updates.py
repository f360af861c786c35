"""Blue and green: a new version is proved beside the old one, which goes on until the new one has passed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Traffic(threading.Thread):
    """Somebody who asks all the time which version answers."""

    def __init__(self, api: Any, name: str) -> None:
        super().__init__()
        self.api, self.name_asked = type(api)(api.server), name
        self.answers: list[str] = []
        self.failures: list[dict[str, Any]] = []
        self.enough = threading.Event()
        self.answered = threading.Condition()

    def run(self) -> None:
        with self.api.http:
            while not self.enough.is_set():
                job = self.api.ended(self.api.submit(self.name_asked, "os.environ['VERSION']"))
                with self.answered:
                    if job["status"] == "succeeded":
                        self.answers.append(self.api.value(job["id"]))
                    else:
                        self.failures.append(job)
                    self.answered.notify_all()

    def until(self, version: str, times: int) -> None:
        with self.answered:
            assert self.answered.wait_for(lambda: self.answers.count(version) >= times, 30)


@contextmanager
def traffic(api: Any, name: str) -> Iterator[Traffic]:
    asking = Traffic(api, name)
    asking.start()
    try:
        yield asking
    finally:
        asking.enough.set()
        asking.join()


def test_a_new_version_takes_over_without_one_failure(api, gate):
    before = api.serve("blue", env={"VERSION": "blue"})
    with traffic(api, "blue") as asking:
        asking.until("blue", 1)
        started = api.begin("blue", "obedient", env={"VERSION": "green", "WHILE_LOADING": gate.code})
        assert started["status"] == "Updating"
        gate.reached()
        seen = asking.answers.count("blue")
        asking.until("blue", seen + 2)
        during = api.endpoint("blue")
        assert (during["status"], during["active_version"]) == ("Updating", before["active_version"])
        assert during["target_version"] not in (None, before["active_version"])
        gate.open()
        asking.until("green", 2)
    after = api.settled("blue")
    assert (after["status"], after["active_version"]) == ("InService", during["target_version"])
    assert [version["number"] for version in after["versions"]] == [1, 2]
    assert asking.failures == []
    assert asking.answers == sorted(asking.answers), "blue, and from some moment on only green"


def test_a_version_that_fails_is_rolled_back(api):
    before = api.serve("steady", env={"VERSION": "one"})
    worker = api.run("steady", "os.getpid()")
    with traffic(api, "steady") as asking:
        asking.until("one", 1)
        after = api.deploy("steady", "broken_import")
        asking.until("one", asking.answers.count("one") + 1)
    assert asking.failures == []
    assert (after["status"], after["active_version"]) == ("InService", before["active_version"])
    assert after["target_version"] is None
    assert after["failure_reason"].startswith("Rolled back. load: ")
    assert "a_module_that_is_not_there" in after["failure_reason"]
    assert api.run("steady", "os.getpid()") == worker
    assert [stage["state"] for stage in after["versions"][-1]["stages"]].count("failed") == 1


def test_one_at_a_time(api, gate):
    api.serve("single", env={"WHILE_LOADING": "pass"})
    api.begin("single", "obedient", env={"WHILE_LOADING": gate.code})
    gate.reached()
    refused = api.put("single", "obedient")
    assert (refused.status_code, refused.json()["error_type"]) == (409, "endpoint_busy")
    gate.open()
    assert api.settled("single")["status"] == "InService"


def test_deleting_while_it_is_created(api, gate):
    api.begin("early", "obedient", env={"WHILE_LOADING": gate.code})
    gate.reached()
    assert api.endpoint("early")["status"] == "Creating"
    api.delete("early")
    api.serve("early")
    assert api.run("early", "2") == 2


def test_deleting_with_jobs_queued_and_running(api, gate, is_alive):
    api.serve("full")
    worker = api.run("full", "os.getpid()")
    running, *queued = [api.submit("full", gate.code if number == 0 else "1") for number in range(4)]
    gate.reached()
    counts = api.endpoint("full")["jobs"]
    assert (counts["running"] + counts["queued"], counts["succeeded"]) == (4, 1)
    api.delete("full")
    for job_id in (running, *queued):
        job = api.ended(job_id)
        assert (job["status"], job["error"]["error_type"]) == ("failed", "endpoint_deleted")
        assert api.published(job) == ["failure"]
    assert not is_alive(worker)
    api.serve("full", "obedient_sagemaker")
    assert api.run("full", "3") == 3


def test_a_server_killed_while_it_creates(own_api, gate):
    own_api.begin("e", "obedient", env={"WHILE_LOADING": gate.code}, workers=1)
    gate.reached()

    own_api.server.kill()
    own_api.server.start()
    own_api.reconnect()

    assert own_api.endpoint("e")["status"] == "Creating"
    gate.reached()
    gate.open()
    endpoint = own_api.settled("e")
    assert endpoint["status"] == "InService", endpoint["failure_reason"]
    assert "failed" not in {stage["state"] for stage in endpoint["versions"][0]["stages"]}
    assert own_api.run("e", "1") == 1


def test_a_server_killed_while_in_service(own_api, gate, is_alive):
    before = own_api.serve("e", workers=2)
    old = own_api.run("e", "[os.getpid(), child(), daemon()]")
    running = own_api.submit("e", gate.code + " or os.getpid()")
    gate.reached()

    own_api.server.kill()
    own_api.server.start()
    own_api.reconnect()

    assert not any(map(is_alive, old)), "the next server ends what the last one left"
    gate.reached()
    gate.open()
    assert own_api.value(running) not in old
    job = own_api.ended(running)
    assert (job["deaths"], job["attempt"]) == (0, 2)
    after = own_api.until("e", lambda one: one["workers"]["ready"] == 2)
    assert after["versions"] == before["versions"], "no second proof"
    assert after["status"] == "InService"


def test_sigterm_with_a_job_that_outlasts_the_grace(make_server, api_of, gate, is_alive):
    server = make_server("--stop-grace-seconds", "0.2")
    api = api_of(server)
    api.serve("e")
    worker = api.run("e", "os.getpid()")
    running, queued = api.submit("e", gate.code + " or 1"), api.submit("e", "2")
    gate.reached()

    assert server.terminate() == 0
    assert not is_alive(worker)
    server.start()
    api.reconnect()

    gate.reached()
    gate.open()
    assert [api.value(one) for one in (running, queued)] == [1, 2]
    job = api.ended(running)
    assert (job["deaths"], job["attempt"], job["status"]) == (0, 2, "succeeded")
