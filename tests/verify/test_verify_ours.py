"""`seatrial verify` of an endpoint of ours, by its native API and as a SageMaker endpoint."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from tests import forks

from seatrial.prove.contract_file import load_contract
from seatrial.prove.finding import Outcome
from seatrial.prove.limits import SERVICE_LOOK_SECONDS
from seatrial.prove.outputs import judge
from seatrial.prove.targets import Unknown, parse
from seatrial.prove.targets.answer import Answer, State
from seatrial.prove.targets.sagemaker import split
from seatrial.prove.verify import Verifier

TEN_POINTS = {  # of the report in which an endpoint was InService and every request failed
    "endpoint.in_service": "1",
    "endpoint.health": "2",
    "logs.model_loaded": "3",
    "inference.succeeds": "4, 5",
    "output.exists": "6",
    "failures.none_new": "7",
    "logs.no_critical": "8",
    "latency.within_budget": "9",
    "scaling.configured": "10",
}
SAMPLES = """
[[tasks.get_embedding.samples]]
name = "pixel"
files = {{ image = "{pixel}" }}
"""
CONTRACT = (
    """
[package]
task_field = "task"

[tasks.get_embedding.input.image]
type = "image"
sources = ["key"]
key_field = "image_s3_key"
bucket_field = "bucket"

[tasks.get_embedding.output]
media_type = "application/json"
schema = {{ type = "object", required = ["embedding"] }}
"""
    + SAMPLES
)


@pytest.fixture
def contract(tmp_path, package):
    """What a stranger knows of the reporters' endpoint."""
    path = tmp_path / "contract.toml"
    path.write_text(CONTRACT.format(pixel=package("tasks_sagemaker") / "samples" / "pixel.png"))
    return path


def outcomes(done):
    return [(one["id"], one["subject"], one["outcome"]) for one in json.loads(done.stdout)["checks"]]


def listed(server, bucket="data"):
    return [one["Key"] for one in server.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_an_endpoint_tells_its_own_samples_and_every_line_is_gone_through(deployed, seatrial, tmp_path):
    page, junit = tmp_path / "report.html", tmp_path / "report.xml"
    done = seatrial(
        "verify", "seatrial:gen3d", "--json", "--html", str(page), "--junit", str(junit), env=deployed.variables
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    found = {one["id"]: one["outcome"] for one in report["checks"]}
    assert {key for key, value in found.items() if value == "failed"} == set()
    assert {key for key, value in found.items() if value == "not_applicable"} <= {
        "scaling.configured",  # none is declared, and there is none
        "latency.within_budget",  # of the second task, which declares no budget
        "inputs.cleaned_up",
    }
    assert {one["id"]: one["point"] for one in report["plan"]["checks"] if one["point"]} == TEN_POINTS
    assert report["plan"]["permissions"]
    assert report["invocations"] == report["plan"]["invocations"] == 4
    suite = ElementTree.parse(junit).getroot()
    assert int(suite.get("tests")) == len(report["checks"])
    assert suite.get("failures") == "0"
    html = page.read_text()
    assert "endpoint.in_service" in html
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", html)


def test_the_same_endpoint_as_a_sagemaker_one(deployed, seatrial, contract):
    before = listed(deployed)
    done = seatrial("verify", "sagemaker:gen3d", "--contract", str(contract), "--json", env=deployed.variables)

    assert done.returncode == 0, done.stdout + done.stderr
    told = {one["id"]: one for one in json.loads(done.stdout)["checks"]}
    assert told["inputs.cleaned_up"]["outcome"] == "ok"
    removed = told["inputs.cleaned_up"]["measured"]["removed"]
    assert any("async-output" in name for name in removed)
    assert listed(deployed) == before  # a canary leaves nothing behind
    assert "load passed" in told["logs.model_loaded"]["message"]
    assert "unknown_task" in told["refusals.wrong_task"]["message"]
    assert told["scaling.configured"]["outcome"] == "not_applicable"


def test_the_same_endpoint_as_a_runpod_one(deployed, contract):
    """RunPod's own wire with its health, as the hosted one has it."""
    contract.write_text(contract.read_text().replace('sources = ["key"]', 'sources = ["base64"]'))
    environ = {
        "RUNPOD_ENDPOINT_BASE_URL": f"{deployed.url}/v2",
        "RUNPOD_API_KEY": deployed.variables["SEATRIAL_API_KEY"],
    }
    with parse("runpod:gen3d", environ) as target:
        report = Verifier(target, load_contract(contract)).run()

    assert report.failed == []
    told = {line.finding.id: line.finding for line in report.lines}
    assert "GET /health answers" in told["endpoint.health"].message
    assert "warm: 1 ready" in told["endpoint.cold_start"].message
    assert "Unknown task" in told["refusals.wrong_task"].message
    assert told["refusals.malformed_input"].outcome is Outcome.OK


def test_the_reporters_wrong_task_name_is_found_in_seconds(deployed, seatrial, tmp_path, package):
    """Seed 000: InService, healthy, and "Unknown task: initialization"."""
    path = tmp_path / "contract.toml"
    text = CONTRACT.replace("get_embedding", "initialization")
    path.write_text(text.format(pixel=package("tasks_sagemaker") / "samples" / "pixel.png"))

    done = seatrial("verify", "sagemaker:gen3d", "--contract", str(path), env=deployed.variables)

    assert done.returncode == 1
    assert "2 invocations" not in done.stdout.splitlines()[0]
    line = next(line for line in done.stdout.splitlines() if line.startswith("FAILED\t4, 5"))
    assert "initialization" in line
    assert "get_embedding" in line  # the valid ones are named
    assert re.search(r"FAILED\t7\tfailures\.none_new.*async-failures", done.stdout)
    assert "NOT verified" in done.stdout.splitlines()[-1]


def test_an_output_that_is_not_what_the_contract_says_and_a_missed_budget_fail(deployed, seatrial, contract):
    text = contract.read_text().replace('required = ["embedding"]', 'required = ["nowhere"]')
    budget = "[tasks.get_embedding]\nlatency_seconds_max = 0.001\n\n"
    contract.write_text(text.replace("[tasks.get_embedding.input", f"{budget}[tasks.get_embedding.input", 1))

    done = seatrial("verify", "sagemaker:gen3d", "--contract", str(contract), "--json", env=deployed.variables)

    assert done.returncode == 1
    failed = [(key, subject) for key, subject, outcome in outcomes(done) if outcome == "failed"]
    assert failed == [("output.contract", "get_embedding/pixel"), ("latency.within_budget", "get_embedding/pixel")]


def test_autoscaling_that_is_declared_has_to_be_there_as_at_aws(deployed, seatrial, contract):
    contract.write_text(contract.read_text() + "\n[verify.autoscaling]\nminimum = 1\nmaximum = 4\n")
    arguments = ("verify", "sagemaker:gen3d", "--contract", str(contract), "--json")

    def told():
        done = seatrial(*arguments, env=deployed.variables)
        return next(one for one in json.loads(done.stdout)["checks"] if one["id"] == "scaling.configured")

    assert (told()["outcome"], "nothing is registered" in told()["message"]) == ("failed", True)
    scaling = deployed.client("application-autoscaling")
    meant = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/gen3d/variant/All",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**meant, MinCapacity=1, MaxCapacity=4)
    metric = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Dimensions": [{"Name": "EndpointName", "Value": "gen3d"}],
    }
    config = {"TargetValue": 5, "CustomizedMetricSpecification": metric}
    scaling.put_scaling_policy(
        **meant, PolicyName="backlog", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=config,
    )  # fmt: skip
    try:
        assert told()["outcome"] == "ok"
    finally:
        scaling.deregister_scalable_target(**meant)


def test_only_the_plan_costs_no_invocation(deployed, seatrial):
    before = deployed.client("s3").list_objects_v2(Bucket="seatrial-results").get("KeyCount")
    done = seatrial("verify", "seatrial:gen3d", "--plan", env=deployed.variables)
    assert done.returncode == 0
    assert "4 invocations" in done.stdout
    assert deployed.client("s3").list_objects_v2(Bucket="seatrial-results").get("KeyCount") == before


def test_what_is_wrong_before_the_first_question_has_exit_codes_and_remedies(deployed, seatrial, tmp_path):
    variables = deployed.variables
    without = seatrial("verify", "sagemaker:gen3d", env=variables)
    assert without.returncode == 2
    assert "--init-contract" in without.stderr
    assert seatrial("verify", "s3://gen3d", env=variables).returncode == 2
    assert seatrial("verify", "cog+http://127.0.0.1:1", "--contract", "x.toml", env=variables).returncode == 2
    assert seatrial("verify", "seatrial:gen3d", env=variables | {"SEATRIAL_URL": "http://127.0.0.1:1"}).returncode == 3
    wrong = seatrial("verify", "seatrial:gen3d", env=variables | {"SEATRIAL_API_KEY": "wrong"})
    assert (wrong.returncode, "401" in wrong.stderr) == (3, True)
    (tmp_path / "bad.toml").write_text("[tasks.a]\nlatency_seconds_max = -1\n")
    nobody = seatrial("verify", "seatrial:nobody", env=variables)
    assert (nobody.returncode, "one of the endpoints: " in nobody.stderr) == (4, True)
    for option in ("--html", "--junit"):
        unwritable = seatrial("verify", "seatrial:gen3d", option, "nowhere/report", env=variables)
        assert (unwritable.returncode, unwritable.stdout) == (2, "")  # nothing was sent, so no report is lost
        assert "there is no folder nowhere" in unwritable.stderr
    bad = seatrial("verify", "seatrial:gen3d", "--contract", "bad.toml", env=variables)
    assert bad.returncode == 2
    assert "tasks.a.latency_seconds_max" in bad.stderr


def test_options_and_names_that_mean_nothing_are_usage_errors(seatrial, tmp_path):
    """Each of them before any server is looked for: here is none."""
    for command in ("verify", "stress"):
        empty = seatrial(command, "seatrial:", "--data", str(tmp_path))
        assert (empty.returncode, "names no endpoint" in empty.stderr) == (2, True), empty.stderr
        for target in ("seatrial:gen3d", "cog+http://127.0.0.1:1"):
            inputs = seatrial(command, target, "--inputs", "s3://data/in")
            assert (inputs.returncode, "--inputs says" in inputs.stderr) == (2, True), inputs.stderr
        nowhere = seatrial(command, "sagemaker:gen3d", "--inputs", "data/in", env={"AWS_DEFAULT_REGION": "us-east-1"})
        assert (nowhere.returncode, "is not s3://bucket/key" in nowhere.stderr) == (2, True), nowhere.stderr


def test_an_endpoint_that_is_not_there_fails_its_first_line(deployed, seatrial, contract):
    done = seatrial("verify", "seatrial:nowhere", "--contract", str(contract), "--json", env=deployed.variables)
    assert done.returncode == 1
    assert [key for key, _, outcome in outcomes(done) if outcome == "failed"] == ["endpoint.in_service"]


def test_an_endpoint_on_its_way_into_service_is_waited_for(deployed, seatrial, package):
    deployed.cli("deploy", str(package("echo")), "--name", "fresh", "--no-wait")
    done = seatrial("verify", "seatrial:fresh", "--json", env=deployed.variables)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_endpoint_that_failed_its_trial_fails_with_the_servers_reason(deployed, seatrial, package):
    assert deployed.cli("deploy", str(package("crash_on_load")), "--name", "sunk", check=False).returncode == 1
    done = seatrial("verify", "seatrial:sunk", "--json", env=deployed.variables)
    assert done.returncode == 1
    first = json.loads(done.stdout)["checks"][0]
    assert (first["id"], first["outcome"]) == ("endpoint.in_service", "failed")
    assert "sunk is Failed: " in first["message"]
    assert json.loads(done.stdout)["invocations"] == 0


def test_broken_off_in_the_middle_it_removes_what_it_stored(deployed, contract, monkeypatch):
    for name, value in deployed.variables.items():
        monkeypatch.setenv(name, value)
    before = listed(deployed)

    def interrupt(words):
        if "budget" in words:
            assert listed(deployed) != before
            raise KeyboardInterrupt

    with parse("sagemaker:gen3d", {}) as target, pytest.raises(KeyboardInterrupt):
        Verifier(target, load_contract(contract)).run(interrupt)
    assert listed(deployed) == before


def test_broken_off_in_the_middle_it_cancels_what_is_under_way(deployed, monkeypatch):
    for name, value in deployed.variables.items():
        monkeypatch.setenv(name, value)
    cancelled = []
    with parse("seatrial:gen3d", deployed.variables) as target:
        monkeypatch.setattr(target, "wait", lambda ticket, seconds: signal.raise_signal(signal.SIGINT))
        monkeypatch.setattr(target, "cancel", cancelled.append)
        verifier = Verifier(target, target.contract())
        with pytest.raises(KeyboardInterrupt):
            verifier.run()
    assert [ticket.request.task for ticket in cancelled] == ["get_embedding"]


def test_an_endpoint_without_a_configuration_is_verified_with_inputs(deployed, seatrial, package, contract, tmp_path):
    """Deployed by our own command line, it has none that SageMaker's clients could read."""
    deployed.cli("deploy", str(package("echo")), "--name", "bare")
    path = tmp_path / "echo.toml"
    path.write_text('[[tasks.echo.samples]]\nname = "a"\ninput = { text = "a" }\n')
    command = ("verify", "sagemaker:bare", "--contract", str(path), "--json")
    without = json.loads(seatrial(*command, env=deployed.variables).stdout)["checks"]
    found = {one["id"]: one for one in without}
    assert "--inputs" in found["inference.succeeds"]["remedy"]
    assert found["unknown_id.not_found"]["outcome"] == "not_applicable"  # its absence shows nothing about ids
    done = seatrial(*command, "--inputs", "s3://data/verify", env=deployed.variables)
    told = {one["id"]: one["outcome"] for one in json.loads(done.stdout)["checks"]}
    assert (told["inference.succeeds"], told["failures.none_new"]) == ("ok", "not_applicable")


def test_a_first_contract_is_made_from_nothing_and_from_an_endpoint(deployed, seatrial, tmp_path):
    assert seatrial("verify", "--init-contract", "first.toml").returncode == 0
    assert load_contract(tmp_path / "first.toml").tasks
    again = seatrial("verify", "--init-contract", "first.toml")
    assert again.returncode == 2  # nothing is overwritten

    told = seatrial("verify", "seatrial:gen3d", "--init-contract", "told.json", env=deployed.variables)
    assert told.returncode == 0, told.stderr
    assert [task.name for task in load_contract(tmp_path / "told.json").tasks] == ["get_embedding", "generate_3d"]


def test_a_canary_says_a_line_a_round_and_ends_with_the_code_of_the_last(deployed, seatrial):
    done = seatrial("verify", "seatrial:gen3d", "--watch", "0.001", "--rounds", "2", env=deployed.variables)
    assert done.returncode == 0
    assert len([line for line in done.stdout.splitlines() if "verified:" in line]) == 2


def test_ctrl_c_ends_a_canary_cleanly(deployed, tmp_path):
    process = forks.start("verify", "seatrial:gen3d", "--watch", 60, env=deployed.environment)
    assert process.stdout is not None
    while "verified:" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "ended after 1 round" in errors
    assert "Traceback" not in errors


def test_an_unproven_endpoint_is_called_so_by_both_wires(deployed, seatrial, package, tmp_path):
    deployed.cli("deploy", str(package("no_samples")), "--name", "untried", "--unproven")
    path = tmp_path / "untried.toml"
    path.write_text('[[tasks.upper.samples]]\nname = "a"\ninput = { text = "a" }\n')
    for target in ("seatrial:untried", "sagemaker:untried"):
        done = seatrial("verify", target, "--contract", str(path), "--json", env=deployed.variables)
        first = json.loads(done.stdout)["checks"][0]
        assert first["message"] == "untried is InService, unproven: deployed without a sample of every task"


SKETCH = """
[package]
name = "sketch"
handler = "sketch:Sketch"

[tasks.draw.input.text]
type = "string"
required = true

[tasks.draw.output]
media_type = "application/json"

[tasks.draw.output.parts.picture]
media_type = "image/png"

[[tasks.draw.samples]]
name = "stripe"
input = "stripe.json"
"""
SKETCH_HANDLER = """
import struct
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Sketch:
    def draw(self, text):
        rows = b"".join(b"\\0" + bytes((x * 4 + y * 7) % 256 for x in range(48)) for y in range(32))
        head = struct.pack(">IIBBBBB", 48, 32, 8, 0, 0, 0, 0)
        parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        return {"text": text, "picture": b"\\x89PNG\\r\\n\\x1a\\n" + parts}
"""


def test_parts_that_lie_beside_a_sagemaker_answer_are_judged_and_removed(deployed, seatrial, tmp_path, monkeypatch):
    package = tmp_path / "sketch"
    package.mkdir()
    (package / "seatrial.toml").write_text(SKETCH)
    (package / "sketch.py").write_text(SKETCH_HANDLER)
    (package / "stripe.json").write_text('{"text": "a"}')
    deployed.cli("deploy", str(package), "--name", "sketch")
    before = {bucket: listed(deployed, bucket) for bucket in ("data", "seatrial-results")}
    options = ("--contract", str(package / "seatrial.toml"), "--inputs", "s3://data/verify", "--json")

    done = seatrial("verify", "sagemaker:sketch", *options, env=deployed.variables)

    told = {one["id"]: one for one in json.loads(done.stdout)["checks"]}
    assert told["output.exists"]["measured"]["parts"]["picture"]["media_type"] == "image/png", done.stdout
    assert told["output.whole"]["message"] == "SHA-256 matches, 1 object"
    assert "picture (image)" in told["output.valid"]["message"]
    assert any(name.endswith("-picture.png") for name in told["inputs.cleaned_up"]["measured"]["removed"])

    few = ("--scenario", "concurrent", "--concurrent", "2", "--rounds", "1")
    done = seatrial("stress", "sagemaker:sketch", *options, *few, env=deployed.variables)
    assert (done.returncode, json.loads(done.stdout)["counts"]["valid"]) == (0, 2), done.stdout
    assert {bucket: listed(deployed, bucket) for bucket in before} == before

    for name, value in deployed.variables.items():
        monkeypatch.setenv(name, value)
    contract, s3 = load_contract(package / "seatrial.toml"), deployed.client("s3")
    with parse("sagemaker:sketch", {"SEATRIAL_VERIFY_INPUTS": "s3://data/verify"}) as target:
        ((task, sample),) = contract.samples()
        ticket = target.submit(contract.request(task, sample))
        part = target.wait(ticket, 60).parts[1]
        bucket, key = split(part.location)
        s3.put_object(Bucket=bucket, Key=key, Body=part.data[:-1] + b"?")
        damaged = {one.id: one.outcome for one in judge(target.wait(ticket, 60), task)}
        assert damaged["output.whole"] is Outcome.FAILED
        s3.delete_object(Bucket=bucket, Key=key)
        with pytest.raises(Unknown, match="the answer's part picture is not there"):
            target.wait(ticket, 60)


def test_an_endpoint_that_leaves_service_is_not_waited_for(deployed, monkeypatch):
    """The job stays pending; two looks at the endpoint in a row end the waiting, with the server's reason."""
    with parse("seatrial:gen3d", deployed.variables) as target:
        told = target.describe()
        fallen = replace(told, in_service=False, status="Failed", reason="its workers crash again and again")
        answers = iter([told, told, fallen, told, fallen, fallen])  # one bad look is no end
        waits = []

        def wait(ticket, seconds):
            waits.append(seconds)
            return Answer(state=State.PENDING, seconds=20.0 * len(waits))

        monkeypatch.setattr(target, "wait", wait)
        monkeypatch.setattr(target, "describe", lambda: next(answers))
        report = Verifier(target, target.contract()).run()

    lines = [line for line in report.lines if line.finding.id == "inference.succeeds"]
    assert [line.finding.outcome for line in lines] == [Outcome.FAILED, Outcome.NOT_APPLICABLE]
    assert "left service: gen3d is Failed: its workers crash again and again" in lines[0].finding.message
    assert "accepted as " in lines[0].finding.message
    assert len(waits) == 5
    assert max(waits) <= SERVICE_LOOK_SECONDS
    assert report.invocations == 1
