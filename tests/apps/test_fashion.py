"""The second field report: an archive without its package crash-loops. Here it is named, refused, repaired."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.apps.conftest import APPS, python_of

APP = APPS / "fashion"
BUCKET = "stygig-ml-s3"
BROKEN = f"s3://{BUCKET}/model-artifacts/stygig-async/model.tar.gz"
FIXED = f"s3://{BUCKET}/model-artifacts/stygig-async-fixed/model.tar.gz"

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]  # torch is installed, a catalogue is trained, two deployments


@pytest.fixture
def environment(server: Any) -> dict[str, str]:
    """What a person's shell has: the server's variables, and this project's commands."""
    path = f"{Path(sys.executable).parent}:{server.environment['PATH']}"
    return server.environment | {"PATH": path}


def script(environment: dict[str, str], name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script of apps/fashion/sagemaker; boto3 is this environment's, training needs the app's."""
    python = python_of("fashion") if name == "run_sagemaker_pipeline.py" else sys.executable
    command = [python, str(APP / "sagemaker" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)


def without(archive: Path, target: Path, *folders: str) -> None:
    with tarfile.open(archive) as source, tarfile.open(target, "w:gz") as broken:
        for member in source.getmembers():
            if not member.name.removeprefix("./").startswith(folders):
                broken.addfile(member, source.extractfile(member) if member.isfile() else None)


def test_from_the_archive_that_crashes_to_results(
    make_server: Callable[..., Any], tmp_path: Path, step: Callable[[str], Any]
) -> None:
    server = make_server("--python", python_of("fashion"))
    environment = server.environment | {"PATH": f"{Path(sys.executable).parent}:{server.environment['PATH']}"}
    s3, sns = server.client("s3"), server.client("sns")
    s3.create_bucket(Bucket=BUCKET)
    topic = sns.create_topic(Name="SNSMLTopic")["TopicArn"]
    catalogue = tmp_path / "catalogue"
    subprocess.run([python_of("fashion"), APP / "catalogue.py", catalogue, "--items", "120"], check=True)
    for picture in catalogue.glob("upperwear/tshirt/*.png"):
        s3.upload_file(str(picture), BUCKET, f"train/upperwear/tshirt/{picture.name}")

    archive = tmp_path / "model.tar.gz"
    with step("trained, checked and packed"):
        options = ("--instance-type", "ml.m5.xlarge", "--instance-count", "1", "--output", str(archive))
        trained = script(environment, "run_sagemaker_pipeline.py", "--catalogue", str(catalogue), *options)
    assert trained.returncode == 0, trained.stdout + trained.stderr

    broken = tmp_path / "broken.tar.gz"
    without(archive, broken, "src/", "config/")
    with step("the archive without its package is named by check"):
        named = server.cli("check", str(broken), check=False)
    assert named.returncode == 1
    assert "fashion" in named.stdout + named.stderr

    s3.upload_file(str(broken), BUCKET, BROKEN.removeprefix(f"s3://{BUCKET}/"))
    deploy = ("--sns-topic-arn", topic, "--endpoint-name")
    with step("its deployment fails with the reason, in bounded time"):
        failed = script(environment, "deploy_async_endpoint.py", "--model-data", BROKEN, *deploy, "stygig-broken")
    assert failed.returncode == 1
    assert "fashion" in failed.stderr

    with step("repaired, from storage to storage"):
        rebuilt = script(environment, "rebuild_model_archive.py", "--source-archive", BROKEN, "--target-archive", FIXED)
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr

    with step("the repaired archive is proved and serves"):
        served = script(environment, "deploy_async_endpoint.py", "--model-data", FIXED, *deploy, "stygig-async")
    assert served.returncode == 0, served.stdout + served.stderr

    (first, *_) = sorted(catalogue.glob("upperwear/tshirt/*.png"))
    image = f"s3://{BUCKET}/train/upperwear/tshirt/{first.name}"
    with step("a warm invocation"):
        options = ("--endpoint-name", "stygig-async", "--s3-image", image, "--wait", "--display-results")
        shown = script(environment, "invoke_async.py", *options)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert f"{image}\n" in shown.stdout

    lines = [
        event["message"]
        for event in server.client("logs").filter_log_events(logGroupName="/aws/sagemaker/Endpoints/stygig-async")[
            "events"
        ]
    ]
    for words in ("encoder efficientnet-lite0 loaded in", "all models initialised", "loaded metadata for"):
        assert any(words in line for line in lines), words
    trial = json.loads(server.cli("trial", "stygig-async", "--json").stdout)
    (load,) = [stage for stage in trial["stages"] if stage["stage"] == "load"]
    assert load["state"] == "passed"
