"""A server with an endpoint of everybody's and one that a narrower key must see nothing of."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Api
from tests.conftest import RunningServer

OWN, THEIRS = "own", "theirs"
OWN_BUCKET, THEIR_BUCKET = "own-bucket", "their-bucket"
SECRET = "zanzibar"  # in all that belongs to THEIRS, and in no answer to a key that does not reach it
OUR_CODE = b"/src/seatrial/"  # in no answer; tracebacks of handlers are theirs to show
SCOPES = ("submit", "read", "deploy", "worker")


@dataclass(frozen=True)
class Key:
    """What a request is made with."""

    api_key: str
    access_key_id: str
    secret_access_key: str
    is_narrow: bool


@dataclass(frozen=True)
class Ground:
    """The server, its two keys, and an ended job of each endpoint."""

    server: RunningServer
    root: Key
    narrow: Key
    own_job: str
    their_job: str
    studio_port: int

    @property
    def log(self) -> str:
        """What the server has said of itself."""
        return Path(self.server.data.parent / "server.log").read_text()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        studio = probe.getsockname()[1]
    server = RunningServer(tmp_path_factory.mktemp("fuzz") / "data", ["--studio", f"{OWN}:{studio}"]).start()
    api = Api(server)
    try:
        yield _laid_out(server, api, studio)
    finally:
        api.http.close()
        server.terminate()


def _laid_out(server: RunningServer, api: Api, studio: int) -> Ground:
    api.serve(OWN, "echo_sagemaker")
    api.serve(THEIRS, "echo_sagemaker", env={"WORD": SECRET})
    s3 = server.client("s3")
    for bucket in (OWN_BUCKET, THEIR_BUCKET):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=OWN_BUCKET, Key="a.json", Body=b'{"hello": 1}', ContentType="application/json")
    s3.put_object(Bucket=THEIR_BUCKET, Key=f"{SECRET}.json", Body=json.dumps({"word": SECRET}).encode())
    jobs = [api.post(name, {"word": word}).json()["id"] for name, word in ((OWN, "own"), (THEIRS, SECRET))]
    for job_id in jobs:
        assert api.ended(job_id)["status"] == "succeeded"
    given = server.variables
    root = Key(given["SEATRIAL_API_KEY"], given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], False)
    return Ground(server, root, _narrow(server), *jobs, studio)


def _narrow(server: RunningServer) -> Key:
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    told = server.cli("keys", "create", *scopes, "--endpoint", OWN, "--bucket", OWN_BUCKET, "--json").stdout
    made: dict[str, Any] = json.loads(told)
    return Key(made["api_key"], made["access_key_id"], made["secret_access_key"], True)
