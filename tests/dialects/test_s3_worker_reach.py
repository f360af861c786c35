"""A worker reaches its endpoint's part of the server's own buckets, and every other bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from seatrial.adapters.system.clock import SystemClock
from seatrial.domain.credentials import Credentials
from seatrial.engine.keyring import Keyring

OWN = "seatrial-inputs"


@pytest.fixture(scope="module")
def owner(shared_server: Any) -> Iterator[Any]:
    client = shared_server.client("s3")
    for bucket in (OWN, "of-people"):
        client.create_bucket(Bucket=bucket)
    for key in ("plans/a", "plans-too/a", "other/a", "plans"):
        client.put_object(Bucket=OWN, Key=key, Body=key.encode())
    yield client
    client.close()


@pytest.fixture
def worker(shared_server: Any, owner: Any) -> Iterator[Any]:
    keys = Credentials(
        shared_server.variables["AWS_ACCESS_KEY_ID"], shared_server.variables["AWS_SECRET_ACCESS_KEY"], "key"
    )
    pair = Keyring(keys, SystemClock()).for_worker("plans")
    session = boto3.session.Session(pair.access_key_id, pair.secret_access_key, region_name="us-east-1")
    client = session.client("s3", endpoint_url=shared_server.url, config=Config(retries={"total_max_attempts": 1}))
    yield client
    client.close()


REFUSED: dict[str, Callable[[Any], Any]] = {
    "read": lambda s3: s3.get_object(Bucket=OWN, Key="other/a"),
    "read a longer name": lambda s3: s3.get_object(Bucket=OWN, Key="plans-too/a"),
    "read the bare name": lambda s3: s3.get_object(Bucket=OWN, Key="plans"),
    "tagging": lambda s3: s3.get_object_tagging(Bucket=OWN, Key="other/a"),
    "write": lambda s3: s3.put_object(Bucket=OWN, Key="other/b", Body=b""),
    "write to results": lambda s3: s3.put_object(Bucket="seatrial-results", Key="other/b", Body=b""),
    "delete": lambda s3: s3.delete_object(Bucket=OWN, Key="other/a"),
    "begin parts": lambda s3: s3.create_multipart_upload(Bucket=OWN, Key="other/b"),
    "copy from": lambda s3: s3.copy_object(Bucket="of-people", Key="b", CopySource=f"{OWN}/other/a"),
    "copy to": lambda s3: s3.copy_object(Bucket=OWN, Key="other/b", CopySource=f"{OWN}/plans/a"),
    "list all": lambda s3: s3.list_objects_v2(Bucket=OWN),
    "list others": lambda s3: s3.list_objects_v2(Bucket=OWN, Prefix="plans"),
    "list uploads": lambda s3: s3.list_multipart_uploads(Bucket=OWN),
    "make a bucket": lambda s3: s3.create_bucket(Bucket="of-a-worker"),
    "delete a bucket": lambda s3: s3.delete_bucket(Bucket="of-people"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_its_own_is_denied(worker: Any, name: str) -> None:
    with pytest.raises(ClientError) as refused:
        REFUSED[name](worker)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_its_own_part_and_other_buckets_are_reached(worker: Any, owner: Any) -> None:
    assert worker.get_object(Bucket=OWN, Key="plans/a")["Body"].read() == b"plans/a"
    worker.put_object(Bucket=OWN, Key="plans/b", Body=b"")
    assert [item["Key"] for item in worker.list_objects_v2(Bucket=OWN, Prefix="plans/")["Contents"]] == [
        "plans/a",
        "plans/b",
    ]
    worker.put_object(Bucket="of-people", Key="k", Body=b"k")
    worker.copy_object(Bucket="of-people", Key="copy", CopySource=f"{OWN}/plans/a")
    assert worker.list_objects_v2(Bucket="of-people")["KeyCount"] == 2
    worker.delete_object(Bucket=OWN, Key="plans/b")


def test_of_many_deletions_those_out_of_reach_are_denied(worker: Any, owner: Any) -> None:
    owner.put_object(Bucket=OWN, Key="plans/gone", Body=b"")
    asked = {"Objects": [{"Key": "other/a"}, {"Key": "plans/gone"}]}
    told = worker.delete_objects(Bucket=OWN, Delete=asked)
    assert [(item["Key"], item["Code"]) for item in told["Errors"]] == [("other/a", "AccessDenied")]
    assert [item["Key"] for item in told["Deleted"]] == ["plans/gone"]
    assert owner.get_object(Bucket=OWN, Key="other/a")["Body"].read() == b"other/a"
