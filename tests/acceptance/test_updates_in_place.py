"""`update = "replace"`: a device that holds one version only. The old one leaves first, and comes back when need be."""

from __future__ import annotations

from typing import Any

import pytest

REPLACING = {"update": "replace", "workers": 1}


def at_load(endpoint: dict[str, Any]) -> str:
    """What the stage `load` of the newest version says."""
    said = [one["message"] for one in endpoint["versions"][-1]["stages"] if one["stage"] == "load"]
    return said[0] if said else ""


def test_the_old_version_ends_what_it_runs_and_leaves_before_the_new_one_loads(api, gate, make_gate, is_alive):
    before = api.serve("single", env={"VERSION": "one"})
    old = api.run("single", "os.getpid()")
    loading = make_gate()
    running = api.submit("single", f"{gate.code} or os.environ['VERSION']")
    gate.reached()
    api.begin("single", "obedient", env={"VERSION": "two", "WHILE_LOADING": loading.code}, **REPLACING)
    draining = api.until("single", lambda one: "ends what it runs" in at_load(one))
    assert (draining["status"], draining["active_version"]) == ("Updating", before["active_version"])
    waiting = api.submit("single", "os.environ['VERSION']")
    assert api.job(running)["status"] == "running"
    gate.open()

    loading.reached()
    assert api.value(running) == "one"
    assert api.job(running)["version"] == before["active_version"]
    assert not is_alive(old), "the device is free"
    during = api.endpoint("single")
    assert (during["status"], during["workers"]["ready"]) == ("Updating", 0)
    assert "in the place of the old one" in api.job(waiting)["waits_for"]
    loading.open()

    assert api.value(waiting) == "two"
    after = api.endpoint("single")
    assert (after["status"], after["versions"][-1]["update"]) == ("InService", "replace")


def test_the_old_version_is_loaded_again_when_the_new_one_fails(api, gate):
    api.begin("steady", "obedient", env={"VERSION": "one", "WHILE_LOADING": gate.code})
    gate.reached()
    gate.open()
    before = api.settled("steady")
    old = api.run("steady", "os.getpid()")

    api.begin("steady", "broken_import", **REPLACING)
    gate.reached()
    during = api.endpoint("steady")
    assert (during["status"], during["active_version"]) == ("RollingBack", before["active_version"])
    waiting = api.submit("steady", "[os.environ['VERSION'], os.getpid()]")
    gate.open()

    version, process = api.value(waiting)
    assert version == "one"
    assert process != old
    after = api.settled("steady")
    assert (after["status"], after["active_version"]) == ("InService", before["active_version"])
    assert after["failure_reason"].startswith("Rolled back. load: ")
    assert "a_module_that_is_not_there" in api.server.cli("endpoints", "show", "steady").stdout
    described = api.server.client("sagemaker").describe_endpoint(EndpointName="steady")
    assert "a_module_that_is_not_there" in described["FailureReason"]


@pytest.mark.slow  # a server is started for each of its steps
def test_a_server_killed_at_each_step_of_it(own_api, make_gate, is_alive):
    """While the old one ends a job, while the new one loads, and while the old one is loaded again."""
    api, first, second, job = own_api, make_gate(), make_gate(), make_gate()

    def kill_and_start() -> None:
        api.server.kill()
        api.server.start()
        api.reconnect()

    api.serve("e", env={"VERSION": "one"})
    running = api.submit("e", f"{job.code} or os.environ['VERSION']")
    job.reached()
    api.begin("e", "obedient", env={"VERSION": "two", "WHILE_LOADING": first.code}, **REPLACING)
    api.until("e", lambda one: "ends what it runs" in at_load(one))
    kill_and_start()

    first.reached()
    endpoint = api.endpoint("e")
    assert (endpoint["status"], endpoint["workers"]["ready"]) == ("Updating", 0), "what had left does not come back"
    kill_and_start()

    first.reached()
    first.open()
    job.reached()
    job.open()
    assert api.value(running) == "two"
    assert (api.job(running)["deaths"], api.job(running)["attempt"]) == (0, 2)
    two = api.settled("e")
    assert two["status"] == "InService"

    api.begin("e", "broken_import", env={"WHILE_LOADING": second.code}, **REPLACING)
    first.reached()
    assert api.endpoint("e")["status"] == "RollingBack"
    kill_and_start()

    first.reached()
    assert api.endpoint("e")["status"] == "RollingBack"
    first.open()
    after = api.settled("e")
    assert (after["status"], after["active_version"]) == ("InService", two["active_version"])
    assert after["failure_reason"].startswith("Rolled back. load: ")
    assert api.run("e", "os.environ['VERSION']") == "two"
