"""`seatrial verify` of what others run: RunPod's own server, Cog's own server, a studio server, AWS control planes."""

from __future__ import annotations

import json
import time

import boto3
import pytest

from seatrial.prove.contract_file import load_contract
from seatrial.prove.targets import parse
from seatrial.prove.verify import Verifier, html_page

RUNPOD = """
[package]
task_field = "task"

[tasks.get_embedding.output]
schema = {{ type = "object", required = ["embedding"] }}

[[tasks.get_embedding.samples]]
files = {{ image = "{picture}" }}

[tasks.mirror.output.parts.mirrored]
media_type = "image/png"

[[tasks.mirror.samples]]
files = {{ image = "{picture}" }}
"""
COG = """
[tasks.predict]
latency_seconds_max = 20

[tasks.predict.output]
media_type = "image/png"
validate = {{ image = {{ width = 64, height = 48 }} }}

[[tasks.predict.samples]]
name = "turned"
input = {{ degrees = 30 }}
files = {{ image = "{picture}" }}
"""
STUDIO = """
[tasks.inference.output]
media_type = "image/png"
validate = { extends = "studio", image = { width = 512, height = 512 } }

[[tasks.inference.samples]]
name = "clouds"
input = { prompt = "clouds over a harbour", seed = 7, width = 512, height = 512 }
"""
# A package's own words for it: JSON with the picture as a part, and the wire carries that part alone.
STUDIO_PART = STUDIO.replace(
    'media_type = "image/png"\n',
    'media_type = "application/json"\nschema = { type = "object", required = ["backend"] }\n\n'
    '[tasks.inference.output.parts.picture]\nmedia_type = "image/png"\n',
)


@pytest.fixture
def picture(tmp_path):
    from PIL import Image, ImageDraw

    path = tmp_path / "picture.png"
    drawn = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    ImageDraw.Draw(drawn).ellipse((12, 8, 40, 36), fill=(200, 80, 40))
    drawn.save(path)
    return path


@pytest.fixture
def verified(tmp_path, monkeypatch):
    """The report of a target held to a contract, as --json tells it; its page is page.html."""

    def run(words, contract, env=None, progress=lambda words: None):
        path = tmp_path / "contract.toml"
        path.write_text(contract)
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        with parse(words, env or {}) as target:
            report = Verifier(target, load_contract(path)).run(progress)
        (tmp_path / "page.html").write_bytes(html_page(report))
        told = json.loads(json.dumps(report.told()))
        told["by_id"] = {one["id"]: one for one in told["checks"]}
        return told

    return run


def failed(report):
    return [(one["id"], one["message"]) for one in report["checks"] if one["outcome"] == "failed"]


def test_runpods_own_server(runpod_server, verified, picture, tmp_path):
    report = verified(f"runpod+{runpod_server.url}", RUNPOD.format(picture=picture))

    assert failed(report) == []
    assert report["passed"]
    found = report["by_id"]
    assert "Unknown task" in found["refusals.wrong_task"]["message"]
    assert found["unknown_id.not_found"]["outcome"] == "ok"
    assert found["logs.model_loaded"]["outcome"] == "not_applicable"  # RunPod's wire has no logs
    assert "mirrored (image)" in [one for one in report["checks"] if one["id"] == "output.valid"][1]["message"]
    assert "<img" in (tmp_path / "page.html").read_text()


def test_cogs_own_server(cog_server, verified, picture):
    report = verified(f"cog+{cog_server.url}", COG.format(picture=picture))

    assert failed(report) == []
    found = report["by_id"]
    assert found["logs.model_loaded"]["outcome"] == "ok"  # what setup wrote, or what the server says of it
    assert found["output.valid"]["outcome"] == "ok"
    assert found["unknown_id.not_found"]["outcome"] == "ok"
    assert found["refusals.wrong_task"]["outcome"] == "not_applicable"
    assert found["refusals.malformed_input"]["outcome"] == "warning"  # 400, and plain text

    wrong = verified(f"cog+{cog_server.url}", COG.format(picture=picture).replace("degrees = 30", 'degrees = "much"'))
    assert not wrong["passed"]
    assert "TypeError" in wrong["by_id"]["inference.succeeds"]["message"]  # in the handler's own words


def test_a_studio_server_and_one_that_leaves_half_of_its_pictures_blank(studio, verified):
    training = "[tasks.train]\nexclusive = true\n\n[[tasks.train.samples]]\ninput = { steps = 2 }\n"
    report = verified(f"studio+{studio().url}", STUDIO + training)
    assert failed(report) == []
    exists = [one["outcome"] for one in report["checks"] if one["id"] == "output.exists"]
    assert exists == ["ok", "not_applicable"]  # that server has no output of a training
    assert report["by_id"]["failures.none_new"]["outcome"] == "ok"

    report = verified(f"studio+{studio().url}", STUDIO_PART)
    assert failed(report) == []
    assert report["by_id"]["output.valid"]["message"] == "decoded and sane: picture (image)"

    for contract in (STUDIO, STUDIO_PART):
        report = verified(f"studio+{studio('--cut').url}", contract)
        assert [one for one, _ in failed(report)] == ["output.valid"]
        assert "image." in report["by_id"]["output.valid"]["message"]


def test_a_cold_start_is_waited_for_and_does_not_count_as_latency(studio, verified):
    limits = "[verify]\ncold_start_seconds = 60\n\n[tasks.inference]\nlatency_seconds_max = 3\n"
    report = verified(f"studio+{studio('--cold').url}", limits + STUDIO)

    assert failed(report) == []
    cold = report["by_id"]["endpoint.cold_start"]
    assert cold["measured"]["cold_start_seconds"] > 3
    assert report["by_id"]["latency.within_budget"]["measured"]["seconds"] < 3
    assert report["invocations"] == report["plan"]["invocations_max"]


# ------------------------------------------------------------------ AWS control planes, our own runtime

GEN3D = """
[package]
task_field = "task"

[verify.autoscaling]
minimum = 0
maximum = 4

[tasks.get_embedding.output]
media_type = "application/json"

[[tasks.get_embedding.samples]]
name = "pixel"
files = {{ image = "{picture}" }}
"""


@pytest.fixture
def mixed(moto, deployed):
    """Variables with which SageMaker, its logs and its scaling are moto's, invocations and objects ours."""
    from tests.verify.conftest import create_endpoint

    ours = deployed.variables
    clients = {
        service: boto3.client(
            service, endpoint_url=moto, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        for service in ("sagemaker", "logs", "application-autoscaling")
    }
    if not clients["sagemaker"].list_endpoints()["Endpoints"]:
        create_endpoint(clients["sagemaker"], "gen3d")
    environment = {key: value for key, value in ours.items() if key != "AWS_ENDPOINT_URL"}
    for service in ("SAGEMAKER", "CLOUDWATCH_LOGS", "APPLICATION_AUTO_SCALING"):
        environment[f"AWS_ENDPOINT_URL_{service}"] = moto
    for service in ("SAGEMAKER_RUNTIME", "S3"):
        environment[f"AWS_ENDPOINT_URL_{service}"] = ours["AWS_ENDPOINT_URL"]
    return environment, clients


def test_aws_control_planes_with_our_own_runtime(mixed, verified, picture):
    environment, clients = mixed
    contract = GEN3D.format(picture=picture)

    report = verified("sagemaker:gen3d", contract, environment)

    assert sorted(one for one, _ in failed(report)) == ["logs.model_loaded", "logs.no_critical", "scaling.configured"]
    assert "ResourceNotFound" in report["by_id"]["logs.model_loaded"]["message"]  # there is no log group

    scaling, logs = clients["application-autoscaling"], clients["logs"]
    where = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/gen3d/variant/All"}
    dimension = {"ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    scaling.register_scalable_target(**where, **dimension, MinCapacity=0, MaxCapacity=4)
    group, stream = "/aws/sagemaker/Endpoints/gen3d", "All/i-1/data-log"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    say(logs, group, stream, "INFO SAM3 model loaded successfully in 41.2 s")

    report = verified("sagemaker:gen3d", contract, environment)
    assert failed(report) == [
        ("scaling.configured", "endpoint/gen3d/variant/All has limits and no policy: it never scales")
    ]

    metric = {"MetricName": "ApproximateBacklogSizePerInstance", "Namespace": "AWS/SageMaker", "Statistic": "Average"}
    tracking = {"TargetValue": 5.0, "CustomizedMetricSpecification": metric}
    scaling.put_scaling_policy(
        PolicyName="backlog", **where, **dimension, PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )  # fmt: skip
    report = verified("sagemaker:gen3d", contract, environment)
    assert failed(report) == []
    told = report["by_id"]["scaling.configured"]
    assert told["outcome"] == "warning"  # at zero instances nothing wakes it
    assert "HasBacklogWithoutCapacity" in told["remedy"]

    report = verified("sagemaker:gen3d", contract.replace("maximum = 4", "maximum = 8"), environment)
    assert "maximum is 4, declared 8" in report["by_id"]["scaling.configured"]["message"]


def test_a_critical_line_in_the_log_fails(mixed, verified, picture):
    environment, clients = mixed
    logs, group, stream = clients["logs"], "/aws/sagemaker/Endpoints/gen3d", "All/i-2/data-log"
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def meanwhile(words):
        if words == "get_embedding pixel":
            say(logs, group, stream, "model loaded")
            say(logs, group, stream, "RuntimeError: CUDA error: an illegal memory access was encountered")

    contract = GEN3D.format(picture=picture).replace("[verify.autoscaling]\nminimum = 0\nmaximum = 4", "")
    report = verified("sagemaker:gen3d", contract, environment, meanwhile)
    assert [one for one, _ in failed(report) if one != "scaling.configured"] == ["logs.no_critical"]
    assert "CUDA error" in report["by_id"]["logs.no_critical"]["message"]


def say(logs, group, stream, text):
    event = {"timestamp": int(time.time() * 1000), "message": text}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
