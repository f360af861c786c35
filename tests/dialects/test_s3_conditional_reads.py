"""Reads that find the client's own copy good, through boto3 as it comes: it checks checksums without being asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
@pytest.mark.parametrize("condition", ["IfNoneMatch", "IfModifiedSince"])
def test_an_unmodified_object_is_a_304_without_checksums(shared_server: Any, operation: str, condition: str) -> None:
    s3 = shared_server.client("s3")
    s3.create_bucket(Bucket="conditions")
    etag = s3.put_object(Bucket="conditions", Key="k", Body=b"bytes")["ETag"]
    value = etag if condition == "IfNoneMatch" else datetime.now(UTC) + timedelta(minutes=1)
    with pytest.raises(ClientError) as unmodified:
        getattr(s3, operation)(Bucket="conditions", Key="k", **{condition: value})
    metadata = unmodified.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 304
    assert metadata["HTTPHeaders"]["etag"] == etag
    assert not [name for name in metadata["HTTPHeaders"] if name.startswith("x-amz-checksum-")]
    whole = s3.get_object(Bucket="conditions", Key="k", ChecksumMode="ENABLED")
    assert whole["ChecksumCRC32"]
    assert whole["Body"].read() == b"bytes"
    s3.close()


def test_an_old_presigned_url_of_a_bucket_lists_it(shared_server: Any) -> None:
    s3 = shared_server.client("s3")
    s3.create_bucket(Bucket="old-urls")
    s3.put_object(Bucket="old-urls", Key="a-key", Body=b"")
    url = s3.generate_presigned_url("list_objects_v2", Params={"Bucket": "old-urls"})
    assert "AWSAccessKeyId=" in url
    assert "/old-urls?" in url
    listed = httpx.get(url)
    assert listed.status_code == 200, listed.text
    assert "<Key>a-key</Key>" in listed.text
    s3.close()


def test_an_old_presigned_url_with_the_bucket_as_host_holds_for_that_bucket_alone(shared_server: Any) -> None:
    s3 = shared_server.client("s3")
    s3.create_bucket(Bucket="as-host")
    s3.put_object(Bucket="as-host", Key="k", Body=b"by host")
    s3.put_object(Bucket="as-host", Key="path/k", Body=b"never by a url of the bucket path")
    netloc = shared_server.url.removeprefix("http://")
    port = netloc.rpartition(":")[2]
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": "as-host", "Key": "k"})
    assert "AWSAccessKeyId=" in signed
    host = {"Host": f"as-host.localhost:{port}"}
    by_host = signed.replace("/as-host/k", "/k")
    assert httpx.get(by_host, headers=host).content == b"by host"
    other = s3.generate_presigned_url("get_object", Params={"Bucket": "path", "Key": "k"})
    refused = httpx.get(other, headers=host)
    assert (refused.status_code, "SignatureDoesNotMatch" in refused.text) == (403, True)
    s3.close()


def test_a_bucket_is_made_in_the_servers_region_only(shared_server: Any) -> None:
    s3 = shared_server.client("s3")
    with pytest.raises(ClientError) as refused:
        s3.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert refused.value.response["Error"]["Code"] == "IllegalLocationConstraintException"
    assert "elsewhere" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    s3.close()


def test_parts_out_of_order_are_refused_in_words_said_once(shared_server: Any) -> None:
    s3 = shared_server.client("s3")
    s3.create_bucket(Bucket="ordered")
    which = {"Bucket": "ordered", "Key": "k"}
    upload = {**which, "UploadId": s3.create_multipart_upload(**which)["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=b"x")["ETag"]}
        for number in (2, 1)
    ]
    with pytest.raises(ClientError) as refused:
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidPartOrder"
    assert error["Message"].count("ascending order") == 1
    assert "part 1 is named after part 2" in error["Message"]
    s3.close()
