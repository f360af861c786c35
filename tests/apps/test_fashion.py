"""The second field report: an archive without its package crash-loops. Here it is named, refused, repaired.

Every command of the report runs as it stands there, in a shell that has the environment of `seatrial env` and no more.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import forks
from tests.acceptance.test_logs_tail import aws_v2  # noqa: F401  a fixture
from tests.apps.conftest import APPS, python_of

APP = APPS / "fashion"
BUCKET = "stygig-ml-s3"
BROKEN = f"s3://{BUCKET}/model-artifacts/stygig-async/model.tar.gz"
FAILED_WITHIN_SECONDS = 180  # the cold start that seatrial.toml declares: a crash loop never ended

# ------------------------------------------------------------------ the report's commands, word for word

FAILING = "stygig-async-endpoint-20251115-101546"
SERVING = "stygig-async-fixed-test"
RETRAIN = r"""
python sagemaker/run_sagemaker_pipeline.py \
    --instance-type ml.m5.xlarge \
    --instance-count 1
"""
REBUILD = r"""
cd ~/Stygig-Model-2
python sagemaker/rebuild_model_archive.py
"""
DEPLOY = r"""
python sagemaker/deploy_async_endpoint.py \
    --model-data s3://stygig-ml-s3/model-artifacts/stygig-async-fixed/model.tar.gz \
    --sns-topic-arn arn:aws:sns:ap-south-1:732414292744:SNSMLTopic \
    --endpoint-name stygig-async-fixed-test
"""
INVOKE = r"""
python sagemaker/invoke_async.py \
    --s3-image s3://stygig-ml-s3/train/upperwear/tshirt/upperwear_tshirt100.png \
    --wait \
    --display-results
"""
TAIL = "aws logs tail /aws/sagemaker/Endpoints/stygig-async-endpoint-20251115-101546 --follow --since 5m"
DELETE = r"""
aws sagemaker delete-endpoint --endpoint-name stygig-async-endpoint-20251115-101546
aws sagemaker delete-endpoint-config --endpoint-config-name <config-name>
"""
LIST = "aws s3 ls s3://stygig-ml-s3/async-inference-results/ --recursive"

# ------------------------------------------------------------------ a shell, and a receiver


def shell(server: Any, command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command in the app's folder, with this project's commands on the path."""
    environment = server.environment | {"PATH": f"{Path(sys.executable).parent}:{server.environment['PATH']}"}
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=APP, env=environment | more, capture_output=True, text=True, timeout=600
    )


def passed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refusal is."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


def put(server: Any, file: Path, uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    server.client("s3").create_bucket(Bucket=bucket)
    server.client("s3").upload_file(str(file), bucket, key)
    return uri


def config_in(said: str) -> str:
    found = re.search(r"model and configuration are (\S+)", said)
    assert found, said
    return found[1]


@pytest.fixture
def told(eventually: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A receiver that confirms subscriptions: subscribes it to a topic; answers with what it was told of jobs."""
    command = ["callbacks", "--port", 0, "--json", "--confirm-topics", "--folder", tmp_path / "told"]
    with forks.start(*command, stderr=None) as receiver:
        assert receiver.stdout is not None
        url = json.loads(receiver.stdout.readline())["url"]

        def subscribed(sns: Any, topic: str) -> Callable[[], list[tuple[str, str]]]:
            def pending() -> bool:
                (one,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
                return bool(one["SubscriptionArn"] == "PendingConfirmation")

            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
            eventually(lambda: not pending())
            return lambda: [(one["job_id"], one["status"]) for one in httpx.get(f"{url}/callbacks").json()["callbacks"]]

        try:
            yield subscribed
        finally:
            receiver.send_signal(signal.SIGTERM)


# ------------------------------------------------------------------ what the scripts refuse, and how


SCRIPTS = {
    "deploy_async_endpoint.py": "--model-data s3://b/k --endpoint-name e",
    "invoke_async.py": "--s3-image s3://b/k",
    "rebuild_model_archive.py": "",
    "run_sagemaker_pipeline.py": "",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_server_or_boto3_a_script_says_so_in_one_line(script: str) -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *options, str(APP / "sagemaker" / script), *SCRIPTS[script].split()]
        return subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})

    assert 'eval "$(seatrial env)"' in refused(run())
    assert "boto3 is missing in" in refused(run("-S"))
    assert "python sagemaker/" in passed(
        subprocess.run(
            [sys.executable, "-S", APP / "sagemaker" / script, "--help"], capture_output=True, text=True, check=False
        )
    )


def test_a_server_that_is_gone_is_one_line(server: Any) -> None:
    server.terminate()
    assert "Is the server running?" in refused(shell(server, REBUILD.splitlines()[-1]))


def test_what_is_not_there_is_one_line_with_a_remedy(shared_server: Any, tmp_path: Path) -> None:
    assert f"there is no model.tar.gz under s3://{BUCKET}/model-artifacts/" in refused(
        shell(shared_server, "python sagemaker/rebuild_model_archive.py")
    )
    rebuild = "python sagemaker/rebuild_model_archive.py --source-archive"
    assert "there is no such object" in refused(shell(shared_server, f"{rebuild} s3://{BUCKET}/no.tar.gz"))
    assert "No such file" in refused(shell(shared_server, f"{rebuild} {tmp_path}/no.tar.gz"))
    assert "no endpoint is in service: deploy one" in refused(shell(shared_server, INVOKE))
    deploy = "python sagemaker/deploy_async_endpoint.py --endpoint-name none --model-data"
    assert "Could not access model data" in refused(shell(shared_server, f"{deploy} s3://{BUCKET}/no.tar.gz"))


def test_a_deployment_may_be_run_again_and_again(
    shared_server: Any, archive: Callable[[str], Path], tmp_path: Path
) -> None:
    """A topic that is not there, a failure, the same name again, an update, an update that fails."""
    server = shared_server
    sagemaker, sns = server.client("sagemaker"), server.client("sns")
    good = put(server, archive("echo_sagemaker"), f"s3://{BUCKET}/packages/good.tar.gz")
    lacking = tmp_path / "lacking.tar.gz"
    without(archive("echo_sagemaker"), lacking, "code/")
    bad = put(server, lacking, f"s3://{BUCKET}/packages/bad.tar.gz")

    def deploy(model: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = f"python sagemaker/deploy_async_endpoint.py --endpoint-name again --model-data {model}"
        return shell(server, " ".join((command, *options)))

    def kept() -> set[str]:
        models = {one["ModelName"] for one in sagemaker.list_models(NameContains="again")["Models"]}
        configs = sagemaker.list_endpoint_configs(NameContains="again")["EndpointConfigs"]
        assert models == {one["EndpointConfigName"] for one in configs}
        return models

    absent = "arn:aws:sns:ap-south-1:732414292744:Absent"
    assert "make it: aws sns create-topic --name Absent" in refused(deploy(good, "--sns-topic-arn", absent))
    assert kept() == set()
    here = sns.create_topic(Name="Absent")["TopicArn"]

    failed = deploy(bad)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    first = config_in(failed.stdout)
    again = passed(deploy(good, "--sns-topic-arn", absent))
    assert "again had failed: it is made anew" in again
    assert f"{absent} is not here; {here} is, and is told instead" in again
    second = config_in(again)
    assert second != first
    assert kept() == {second}

    third = config_in(passed(deploy(good)))
    assert sagemaker.describe_endpoint(EndpointName="again")["EndpointConfigName"] == third
    assert kept() == {third}

    back = deploy(bad)
    assert back.returncode == 1
    assert f"again serves with {third} as before" in back.stderr
    assert kept() == {third}


def without(archive: Path, target: Path, *folders: str) -> None:
    with tarfile.open(archive) as source, tarfile.open(target, "w:gz") as broken:
        for member in source.getmembers():
            if not member.name.removeprefix("./").startswith(folders):
                broken.addfile(member, source.extractfile(member) if member.isfile() else None)


# ------------------------------------------------------------------ the report


@pytest.mark.timeout(1200)
@pytest.mark.slow  # a catalogue is drawn and trained with the app's torch, and deployed twice
def test_from_the_archive_that_crashes_to_results(
    make_server: Callable[..., Any],
    tmp_path: Path,
    step: Callable[[str], Any],
    told: Callable[..., Any],
    eventually: Callable[..., Any],
    request: pytest.FixtureRequest,
) -> None:
    server = make_server("--python", python_of("fashion"))
    (server.data.parent / "Stygig-Model-2").symlink_to(APP)  # the report's `cd ~/Stygig-Model-2`
    sns, sagemaker = server.client("sns"), server.client("sagemaker")
    jobs_told = told(sns, sns.create_topic(Name="SNSMLTopic")["TopicArn"])

    with step("drawn, trained, checked, packed and uploaded; then its package is taken out"):
        broken = retrained_without_its_package(server, tmp_path)
    with step("the archive without its package is named by check"):
        named = server.cli("check", str(broken), check=False)
    assert named.returncode == 1
    assert "fashion" in named.stdout + named.stderr

    with step("its deployment fails with the reason, in bounded time"):
        failed = failing_deployment(server)
    with step("repaired, from storage to storage"):
        assert f"repairing {BROKEN}" in passed(shell(server, REBUILD))
    check_repair(server, broken, tmp_path)

    with step("the repaired archive is proved and serves"):
        passed(shell(server, DEPLOY))
    trial = json.loads(server.cli("trial", SERVING, "--json").stdout)
    (load,) = [stage for stage in trial["stages"] if stage["stage"] == "load"]
    assert load["state"] == "passed"

    with step("a picture succeeds, what is none fails"):
        ended = {(succeeded(server), "Completed"), (failed_picture(server), "Failed")}
    with step("the topic's subscriber is told of both"):
        eventually(lambda: ended <= set(jobs_told()))

    check_logs(server, request.getfixturevalue("aws_v2"))
    passed(shell(server, DELETE.replace("<config-name>", config_in(failed))))
    eventually(lambda: [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]] == [SERVING])


def retrained_without_its_package(server: Any, folder: Path) -> Path:
    """The report's archive: one of the pipeline's, without `src/` and `config/`; it is in storage too."""
    (made,) = re.findall(rf"^wrote s3://{BUCKET}/(\S+)$", passed(shell(server, RETRAIN)), re.MULTILINE)
    archive, broken = folder / "model.tar.gz", folder / "broken.tar.gz"
    server.client("s3").download_file(BUCKET, made, str(archive))
    without(archive, broken, "src/", "config/")
    put(server, broken, BROKEN)
    return broken


def failing_deployment(server: Any) -> str:
    """What the script printed of the broken archive's deployment, which failed and said why."""
    began = time.monotonic()
    command = f"python sagemaker/deploy_async_endpoint.py --model-data {BROKEN} --endpoint-name {FAILING}"
    failed = shell(server, command)
    assert time.monotonic() - began < FAILED_WITHIN_SECONDS
    assert failed.returncode == 1
    endpoint = server.client("sagemaker").describe_endpoint(EndpointName=FAILING)
    assert endpoint["EndpointStatus"] == "Failed"
    assert re.search(r"\bfashion\b", endpoint["FailureReason"])
    assert endpoint["FailureReason"] in failed.stderr
    return failed.stdout


def check_repair(server: Any, broken: Path, folder: Path) -> None:
    """What is deployed is, byte for byte, what `check --fix --write` makes of the broken archive."""
    by_hand, stored = folder / "by-hand.tar.gz", folder / "stored.tar.gz"
    server.cli("check", str(broken), "--source", str(APP), "--fix", "--include", "config", "--write", str(by_hand))
    server.client("s3").download_file(BUCKET, "model-artifacts/stygig-async-fixed/model.tar.gz", str(stored))
    assert stored.read_bytes() == by_hand.read_bytes()


def accepted(said: str) -> str:
    found = re.search(rf"^accepted by {SERVING}: (\S+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def succeeded(server: Any) -> str:
    """The id of the report's own invocation. Its picture has a number that no drawn one has: one is copied to it."""
    s3 = server.client("s3")
    drawn = "train/upperwear/tshirt/upperwear_tshirt0100.png"
    asked = "train/upperwear/tshirt/upperwear_tshirt100.png"
    s3.copy_object(Bucket=BUCKET, Key=asked, CopySource={"Bucket": BUCKET, "Key": drawn})
    shown = passed(shell(server, INVOKE))
    assert f"{SERVING} is the newest in service" in shown
    assert f"s3://{BUCKET}/{drawn}\n" in shown  # it finds itself
    items = re.findall(rf"s3://{BUCKET}/(\S+\.png)$", shown, re.MULTILINE)
    assert len(items) == 10
    for key in items:
        s3.head_object(Bucket=BUCKET, Key=key)
    (result,) = re.findall(rf"^result: s3://{BUCKET}/(\S+)$", shown, re.MULTILINE)
    assert result in passed(shell(server, LIST))
    return accepted(shown)


def failed_picture(server: Any) -> str:
    """The id of an invocation with a picture that is none; the endpoint comes from the environment."""
    server.client("s3").put_object(Bucket=BUCKET, Key="train/no.png", Body=b"no picture")
    invoke = f"python sagemaker/invoke_async.py --s3-image s3://{BUCKET}/train/no.png --wait"
    wrong = shell(server, invoke, SAGEMAKER_ENDPOINT_NAME=SERVING)
    assert wrong.returncode == 1
    assert "image_undecodable" in wrong.stderr
    return accepted(wrong.stdout)


def check_logs(server: Any, aws: str) -> None:
    """`aws logs tail`, of both endpoints. Before 2.13 it does not read AWS_ENDPOINT_URL, so the URL is an option."""
    tail = TAIL.replace("aws", f"{aws} --endpoint-url {server.url}", 1)
    lines = passed(shell(server, tail.replace(FAILING, SERVING).replace(" --follow", "")))
    for words in (
        "encoder efficientnet-lite0 loaded in",
        "all models initialised",
        "loaded metadata for 10 categories",
    ):
        assert words in lines
    followed = shell(server, f"timeout --signal=INT 15 {tail}", PYTHONUNBUFFERED="1")
    assert re.search(r"\bfashion\b", followed.stdout)
