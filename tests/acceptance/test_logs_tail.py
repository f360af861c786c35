"""`aws logs tail`, with the real version 2 of the command line: what people look at first when an endpoint is odd."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

AWS_V2 = "/usr/bin/aws"  # where the Debian package `awscli` puts it
NAME = "tailed"
GROUP = f"/aws/sagemaker/Endpoints/{NAME}"


@pytest.fixture(scope="session")
def aws_v2() -> str:
    """Version 2 comes from no Python index; where it cannot be installed, the reason is the script's own words."""
    script = Path(__file__).resolve().parents[2] / "scripts" / "install-system-package"
    installed = subprocess.run([script, "awscli", AWS_V2], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(installed.stderr.strip().splitlines()[-1])
    said = subprocess.run([AWS_V2, "--version"], capture_output=True, text=True, check=True)
    if not said.stdout.startswith("aws-cli/2."):
        pytest.skip(f"{AWS_V2} is {said.stdout.strip()}, and `logs tail` belongs to version 2")
    return AWS_V2


@pytest.fixture
def tail(own_api, aws_v2) -> Callable[..., subprocess.Popen[str]]:
    """Begins `aws logs tail`. A version before 2.13 does not read AWS_ENDPOINT_URL, so the URL is an option."""
    server = own_api.server

    def begin(*options: str) -> subprocess.Popen[str]:
        environment = {**server.environment, "PYTHONUNBUFFERED": "1"}
        command = [aws_v2, "--endpoint-url", server.url, "logs", "tail", GROUP, *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    return begin


def test_it_tells_that_the_model_loaded(own_api, tail):
    own_api.serve(NAME)
    said, _ = tail("--since", "5m").communicate(timeout=60)
    assert "load passed" in said
    assert "in service" in said


@pytest.mark.timeout(120)
def test_it_follows_what_a_handler_prints(own_api, tail):
    own_api.serve(NAME)
    with tail("--since", "5m", "--follow") as following:
        try:
            assert following.stdout is not None
            assert any("in service" in line for line in following.stdout)
            own_api.run(NAME, "print('ahoy from the handler')")
            assert any("ahoy from the handler" in line for line in following.stdout)
        finally:
            following.terminate()
