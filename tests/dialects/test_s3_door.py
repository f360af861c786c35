"""The S3 door behind a real server, real signatures and unmodified clients: boto3 and `aws`."""

import asyncio
import base64
import hashlib
import http.client
import io
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import uvicorn
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import ClientError

from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.system.clock import SystemClock
from seatrial.domain.credentials import Credentials
from seatrial.domain.limits import MIB
from seatrial.engine.keyring import Keyring
from seatrial.engine.multipart import MultipartUploads
from seatrial.http.doors.aws import AwsDoor
from seatrial.http.services import Services

OWNER = Credentials("AKIAOWNEROWNEROWNERO", "owner-secret", "owner-api-key")
KEYRING = Keyring(OWNER, SystemClock())
LARGE = os.urandom(20 * MIB + 7)


class WallClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)


@dataclass
class Server:
    """The door on a port of its own, in a thread with its own event loop."""

    url: str
    data: Path

    @property
    def blobs(self) -> list[Path]:
        return [path for path in (self.data / "blobs").rglob("*") if path.is_file()]


def _services(objects: EmbeddedObjects, data: Path, url: str) -> Services:
    """Only what the S3 door uses; the other doors are never called here."""
    unused: Any = None
    return Services(
        submitter=unused,
        inspector=unused,
        canceller=unused,
        deployer=unused,
        deliverer=unused,
        topics=unused,
        webhooks=unused,
        topic_signer=unused,
        streams=unused,
        reports=unused,
        outside=unused,
        triggers=unused,
        endpoint_triggers=unused,
        awaited=unused,
        waits=unused,
        backups=unused,
        canaries=unused,
        meters=unused,
        scaler=unused,
        receivers=unused,
        keys=unused,
        figures=unused,
        alarms=unused,
        objects=objects,
        registry=unused,
        logs=unused,
        keyring=KEYRING,
        clock=WallClock(),
        uploads=data / "uploads",
        base_url=url,
        multipart=MultipartUploads(objects, WallClock()),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("data")
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    started = threading.Event()
    running: list[uvicorn.Server] = []

    async def serve() -> None:
        database = await Database.open(data / "seatrial.db")
        blobs = BlobFiles(data / "blobs")
        door = AwsDoor(_services(EmbeddedObjects(SqlObjectNames(database), blobs, WallClock()), data, url))
        running.append(uvicorn.Server(uvicorn.Config(door, lifespan="off", log_level="warning")))
        started.set()
        await running[0].serve([listener])
        await database.close()
        blobs.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(30)
    yield Server(url, data)
    running[0].should_exit = True
    thread.join()
    listener.close()


def make_client(server: Server, access_key: str, secret: str, **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.fixture(scope="module")
def s3(server: Server) -> Iterator[Any]:
    client = make_client(server, OWNER.access_key_id, OWNER.secret_access_key)
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = "b-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    s3.create_bucket(Bucket=name)
    return name


def fetch(s3: Any, **which: Any) -> tuple[dict[str, Any], bytes]:
    """What GetObject tells, and the bytes."""
    told = s3.get_object(**which)
    return told, told["Body"].read()


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def raw(
    server: Server,
    method: str,
    target: str,
    body: bytes | Iterator[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    payload_sha256: str = "UNSIGNED-PAYLOAD",
) -> tuple[int, dict[str, str], bytes]:
    """A signed request exactly as written; status, headers and body of the answer."""
    signed = sign(server, method, target, headers, payload_sha256)
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    try:
        connection.request(method, target, body, signed, encode_chunked=not isinstance(body, bytes))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    finally:
        connection.close()


def sign(
    server: Server, method: str, target: str, headers: Mapping[str, str] | None, payload_sha256: str
) -> dict[str, str]:
    request = AWSRequest(method, server.url + target, headers={**(headers or {})})
    request.headers["X-Amz-Content-SHA256"] = payload_sha256

    class Signer(S3SigV4Auth):
        def payload(self, request: AWSRequest) -> str:
            return payload_sha256

    Signer(BotoCredentials(OWNER.access_key_id, OWNER.secret_access_key), "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


# ---------------------------------------------------------------- buckets


def test_buckets(s3: Any) -> None:
    s3.create_bucket(Bucket="buckets-a")
    s3.create_bucket(Bucket="buckets-a")
    s3.create_bucket(Bucket="buckets-b")
    s3.create_multipart_upload(Bucket="buckets-a", Key="k")  # its own bucket stays hidden
    listed = s3.list_buckets()
    names = [bucket["Name"] for bucket in listed["Buckets"]]
    assert {"buckets-a", "buckets-b"} <= set(names)
    assert not [name for name in names if name.startswith(".")]
    assert listed["Owner"]["ID"] == OWNER.account_id
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1}, Prefix="buckets-")
    assert [bucket["Name"] for page in pages for bucket in page["Buckets"]] == ["buckets-a", "buckets-b"]
    assert s3.head_bucket(Bucket="buckets-a")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket="buckets-a")["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket="buckets-a")
    assert s3.get_bucket_acl(Bucket="buckets-a")["Grants"][0]["Permission"] == "FULL_CONTROL"
    s3.put_object(Bucket="buckets-b", Key="k", Body=b"")
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket="buckets-b")
    assert code_of(caught) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket="buckets-b", Key="k")
    s3.delete_bucket(Bucket="buckets-b")
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket="buckets-b")
    assert code_of(caught) == ("404", 404)
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket="buckets-b")
    assert code_of(caught) == ("NoSuchBucket", 404)
    assert caught.value.response["Error"]["BucketName"] == "buckets-b"
    assert caught.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("name", ["ab", "A-B-C", "a..b", "-ab", "a_b", "192.168.1.1", ".uploads", "x" * 64])
def test_illegal_bucket_names(server: Server, name: str) -> None:
    status, _, body = raw(server, "PUT", f"/{quote(name)}")
    assert (status, b"<Code>InvalidBucketName</Code>" in body) == (400, True)


@pytest.mark.parametrize("sub", ["policy", "lifecycle", "cors", "versions", "tagging-of-tomorrow"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_not_offered_is_never_taken_for_something_else(
    server: Server, s3: Any, bucket: str, method: str, sub: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    for target in [f"/{bucket}?{sub}", f"/{bucket}/k?{sub}"]:
        status, _, body = raw(server, method, target)
        assert (status, b"<Code>NotImplemented</Code>" in body) == (501, True)
    assert raw(server, "PUT", f"/{bucket}/k?acl", b"x")[0] == 501
    assert fetch(s3, Bucket=bucket, Key="k")[1] == b"kept"


# ---------------------------------------------------------------- objects


@pytest.mark.parametrize("body", [b"", b"small", LARGE], ids=len)
def test_put_get_head_delete(s3: Any, bucket: str, body: bytes) -> None:
    put = s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=body,
        ContentType="image/png",
        ContentEncoding="gzip",
        CacheControl="no-cache",
        ContentDisposition="attachment",
        Metadata={"Answer": "42"},
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert put["ChecksumCRC32"] == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    got, read = fetch(s3, Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (read, got["ChecksumCRC32"]) == (body, put["ChecksumCRC32"])
    for told in [s3.head_object(Bucket=bucket, Key="k"), got]:
        assert (told["ETag"], told["ContentLength"], told["ContentType"]) == (put["ETag"], len(body), "image/png")
        assert (told["ContentEncoding"], told["CacheControl"]) == ("gzip", "no-cache")
        assert (told["ContentDisposition"], told["Metadata"]) == ("attachment", {"answer": "42"})
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert code_of(caught) == ("NoSuchKey", 404)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
@pytest.mark.parametrize("place", ["header", "trailer"])
def test_checksums_of_every_kind(server: Server, s3: Any, bucket: str, algorithm: str, place: str) -> None:
    from seatrial.domain.checksums import encoded, new_checksum

    checksum = new_checksum(algorithm.lower())
    body = b"a body to sum" * 1000
    checksum.update(body)
    name, right = f"x-amz-checksum-{algorithm.lower()}", encoded(checksum.digest())
    wrong = encoded(bytes(len(checksum.digest())))
    for value, status in [(right, 200), (wrong, 400)]:
        if place == "header":
            answer = raw(server, "PUT", f"/{bucket}/{status}", body, {name: value})
        else:
            announced = {"x-amz-trailer": name, "x-amz-decoded-content-length": str(len(body))}
            chunked = b"%x\r\n%s\r\n0\r\n%s:%s\r\n\r\n" % (len(body), body, name.encode(), value.encode())
            announced["Content-Encoding"] = "aws-chunked"
            answer = raw(server, "PUT", f"/{bucket}/{status}", chunked, announced, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        assert answer[0] == status, answer
    told, _ = fetch(s3, Bucket=bucket, Key="200", ChecksumMode="ENABLED")
    assert told[f"Checksum{algorithm}"] == right
    assert "ContentEncoding" not in told
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["200"]


@pytest.mark.parametrize("size", [5, 200_000])
def test_a_body_that_is_not_the_declared_one_is_not_kept(server: Server, s3: Any, bucket: str, size: int) -> None:
    body = b"x" * size
    before = server.blobs
    cases = [
        ({"Content-MD5": base64.b64encode(bytes(16)).decode()}, "UNSIGNED-PAYLOAD", "BadDigest"),
        ({"Content-MD5": "bm90IG1kNQ=="}, "UNSIGNED-PAYLOAD", "InvalidDigest"),
        ({"x-amz-checksum-crc32": "bad"}, "UNSIGNED-PAYLOAD", "InvalidRequest"),
        ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "x"}, "UNSIGNED-PAYLOAD", "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "UNSIGNED-PAYLOAD", "InvalidRequest"),
        ({}, hashlib.sha256(b"another").hexdigest(), "XAmzContentSHA256Mismatch"),
    ]
    for headers, payload_sha256, code in cases:
        status, _, answer = raw(server, "PUT", f"/{bucket}/k", body, headers, payload_sha256)
        assert (status, f"<Code>{code}</Code>" in answer.decode()) == (400, True), answer
    assert raw(server, "PUT", f"/{bucket}/k", body, {}, hashlib.sha256(body).hexdigest())[0] == 200
    s3.delete_object(Bucket=bucket, Key="k")
    assert server.blobs == before
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def signed_chunks(server: Server, target: str, body: bytes, *, trailer: bool, spoil: str = "") -> tuple[int, bytes]:
    """PUT in chunks that are signed one by one, as some SDKs send it."""
    from seatrial.http.sigv4 import ChunkSigner

    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    headers = {"x-amz-decoded-content-length": str(len(body)), "content-encoding": "aws-chunked"}
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    signed = sign(server, "PUT", target, headers, kind)
    signature = signed["Authorization"].rpartition("Signature=")[2]
    date = signed["X-Amz-Date"]
    key = b"AWS4" + OWNER.secret_access_key.encode()
    for part in (date[:8], "us-east-1", "s3", "aws4_request"):
        key = hmac_sha256(key, part.encode())
    signer = ChunkSigner(key, date, f"{date[:8]}/us-east-1/s3/aws4_request", signature)
    wire = b""
    pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)] + [b""]
    for number, piece in enumerate(pieces):
        signature = signer.chunk(signature, hashlib.sha256(piece).hexdigest())
        sent = bytes(len(piece)) if spoil == "chunk" and number == 1 else piece
        wire += b"%x;chunk-signature=%s\r\n%s" % (len(sent), signature.encode(), sent) + (b"\r\n" if sent else b"")
    if trailer:
        line = "x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        last = signer.trailer(signature, hashlib.sha256(line.encode() + b"\n").hexdigest())
        last = "0" * 64 if spoil == "trailer" else last
        wire += f"{line}\r\nx-amz-trailer-signature:{last}\r\n".encode()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    try:
        connection.request("PUT", target, wire + b"\r\n", signed)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def hmac_sha256(key: bytes, text: bytes) -> bytes:
    import hmac

    return hmac.new(key, text, hashlib.sha256).digest()


@pytest.mark.parametrize("trailer", [False, True])
def test_signed_chunks(server: Server, s3: Any, bucket: str, trailer: bool) -> None:
    body = LARGE[:200_000]
    assert signed_chunks(server, f"/{bucket}/k", body, trailer=trailer)[0] == 200
    assert fetch(s3, Bucket=bucket, Key="k")[1] == body
    status, answer = signed_chunks(server, f"/{bucket}/spoiled", body, trailer=trailer, spoil="chunk")
    assert (status, b"SignatureDoesNotMatch" in answer) == (403, True)
    if trailer:
        assert signed_chunks(server, f"/{bucket}/spoiled", body, trailer=True, spoil="trailer")[0] == 403
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_the_body_is_asked_for_only_when_it_is_wanted(server: Server, bucket: str) -> None:
    body = b"x" * 100_000
    for target, first in [(f"/{bucket}/k", b"HTTP/1.1 100 Continue"), ("/no-such-bucket/k", b"HTTP/1.1 404")]:
        signed = sign(server, "PUT", target, {}, "UNSIGNED-PAYLOAD")
        head = [f"PUT {target} HTTP/1.1", f"Host: {server.url.removeprefix('http://')}"]
        head += [f"{name}: {value}" for name, value in signed.items() if name.lower() != "host"]
        head += ["Expect: 100-continue", f"Content-Length: {len(body)}", "", ""]
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall("\r\n".join(head).encode())
            answer = connection.makefile("rb")
            assert answer.readline().startswith(first)
            if b"100" in first:
                assert answer.readline() == b"\r\n"
                connection.sendall(body)
                assert answer.readline().startswith(b"HTTP/1.1 200")


class Unseen(io.BytesIO):
    """A stream: botocore asks `Expect: 100-continue` before it sends one."""


@pytest.mark.parametrize("size", [10, 5 * MIB, len(LARGE)])
@pytest.mark.parametrize("stream", [bytes, Unseen])
@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_a_refused_body_does_not_spoil_the_next_request(
    server: Server, bucket: str, size: int, stream: Callable[[bytes], Any], checksums: str
) -> None:
    body = LARGE[:size]
    s3 = make_client(
        server,
        OWNER.access_key_id,
        OWNER.secret_access_key,
        max_pool_connections=1,
        request_checksum_calculation=checksums,
    )
    for round_number in range(2):
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket="no-such-bucket", Key="k", Body=stream(body))
        assert code_of(caught) == ("NoSuchBucket", 404)
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=bucket, Key=f"none-{round_number}")
        assert code_of(caught) == ("NoSuchKey", 404)
        with pytest.raises(ClientError) as caught:
            s3.upload_part(Bucket=bucket, Key="k", UploadId="none", PartNumber=1, Body=stream(body))
        assert code_of(caught) == ("NoSuchUpload", 404)
        s3.put_object(Bucket=bucket, Key="k", Body=stream(body))
        assert fetch(s3, Bucket=bucket, Key="k")[1] == body
    s3.close()


def refused_put(server: Server, connection: http.client.HTTPConnection, **headers: str) -> http.client.HTTPResponse:
    """Only the head of a PUT to no bucket, and the answer to it."""
    target = "/no-such-bucket/k"
    connection.putrequest("PUT", target)
    for name, value in sign(server, "PUT", target, headers, "UNSIGNED-PAYLOAD").items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


@pytest.mark.parametrize(
    ("headers", "closes"),
    [
        ({"Content-Length": "10", "Expect": "100-continue"}, True),  # whether the ten bytes will come, nobody knows
        ({"Content-Length": str(17 * MIB)}, True),  # too much to be read for nothing
        ({"Content-Length": "0"}, False),
        ({"Content-Length": "0", "Expect": "100-continue"}, False),
    ],
)
def test_a_connection_lives_on_only_when_the_body_is_over(
    server: Server, headers: dict[str, str], closes: bool
) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    answer = refused_put(server, connection, **headers)
    assert (answer.status, b"NoSuchBucket" in answer.read()) == (404, True)
    assert (answer.headers.get("connection") == "close") is closes
    connection.close()


def test_a_long_chunked_body_that_is_refused_is_answered(server: Server) -> None:
    pieces = (LARGE[start : start + MIB] for start in range(0, len(LARGE), MIB))
    status, headers, document = raw(server, "PUT", "/no-such-bucket/k", pieces, {"Transfer-Encoding": "chunked"})
    assert (status, headers["connection"], b"NoSuchBucket" in document) == (404, "close", True)


def test_a_client_that_goes_away_leaves_nothing(server: Server, s3: Any, bucket: str) -> None:
    before = server.blobs
    target = f"/{bucket}/k"
    signed = sign(server, "PUT", target, {}, "UNSIGNED-PAYLOAD")
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.putrequest("PUT", target, skip_host=True)
    for name, value in {**signed, "Content-Length": str(10 * MIB)}.items():
        connection.putheader(name, value)
    if "Host" not in signed:
        connection.putheader("Host", server.url.removeprefix("http://"))
    connection.endheaders(LARGE[: 4 * MIB])
    until(lambda: len(server.blobs) > len(before))
    connection.close()
    until(lambda: server.blobs == before)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_reader_that_goes_away_leaves_no_file_open(server: Server, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE)
    for _ in range(3):
        body = s3.get_object(Bucket=bucket, Key="k")["Body"]
        body.read(MIB)
        body.close()
    until(lambda: not any("/blobs/" in target for target in open_files()))


def open_files() -> list[str]:
    """The server runs in this very process."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def until(holds: Callable[[], bool]) -> None:
    """Look at the disk again and again; nothing in the server tells a test about it."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_conditional_puts(s3: Any, bucket: str) -> None:
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    for condition in [{"IfNoneMatch": "*"}, {"IfMatch": '"other"'}]:
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket=bucket, Key="k", Body=b"2", **condition)
        assert code_of(caught) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="free", Body=b"2", IfMatch=first["ETag"])
    assert code_of(caught) == ("NoSuchKey", 404)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first["ETag"])
    assert fetch(s3, Bucket=bucket, Key="k")[1] == b"3"


@pytest.mark.parametrize("body", [b"0123456789", LARGE], ids=len)
def test_ranges(s3: Any, bucket: str, body: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    size = len(body)
    for header, expected in [
        ("bytes=0-0", body[:1]),
        ("bytes=3-", body[3:]),
        ("bytes=-4", body[-4:]),
        (f"bytes=2-{size + 9}", body[2:]),
        (f"bytes=-{size + 9}", body),
    ]:
        told = s3.get_object(Bucket=bucket, Key="k", Range=header)
        assert told["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert told["ContentRange"].endswith(f"/{size}")
        assert told["Body"].read() == expected
    for header in ["bytes=9-3", "bytes=0-1,3-4", "lines=1-2"]:
        assert fetch(s3, Bucket=bucket, Key="k", Range=header)[1] == body
    for header in [f"bytes={size}-", "bytes=-0"]:
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=bucket, Key="k", Range=header)
        assert code_of(caught) == ("InvalidRange", 416)
    assert s3.head_object(Bucket=bucket, Key="k", Range="bytes=1-2")["ContentLength"] == 2


def test_conditional_reads(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    past, future = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    assert fetch(s3, Bucket=bucket, Key="k", IfMatch=etag, IfUnmodifiedSince=past)[1] == b"1"
    assert fetch(s3, Bucket=bucket, Key="k", IfNoneMatch='"other"', IfModifiedSince=future)[1] == b"1"
    assert fetch(s3, Bucket=bucket, Key="k", IfUnmodifiedSince=modified)[1] == b"1"
    for condition in [{"IfMatch": '"other"'}, {"IfUnmodifiedSince": past}]:
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=bucket, Key="k", **condition)
        assert code_of(caught) == ("PreconditionFailed", 412)
    for condition in [{"IfNoneMatch": etag}, {"IfModifiedSince": modified}]:
        with pytest.raises(ClientError) as caught:
            s3.head_object(Bucket=bucket, Key="k", **condition)
        assert code_of(caught) == ("304", 304)


KEYS = ["a", "a/b", "..", "../../escape", "/escape", "a//b", "a/./b", "%2F", "a b+c", "é/𝄞", "k" * 1024, "?x#y&z"]


def test_any_legal_key(server: Server, s3: Any, bucket: str) -> None:
    body = LARGE[:100_000]  # large enough for a file
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=body + key.encode())
    for key in KEYS:
        assert fetch(s3, Bucket=bucket, Key=key)[1] == body + key.encode()
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(KEYS, key=str.encode)
    assert not list(server.data.parent.rglob("*escape*"))
    assert all(len(path.name) == 32 for path in server.blobs)


@pytest.mark.parametrize(
    ("key", "code"),
    [("a%00b", "InvalidArgument"), ("k" * 1025, "KeyTooLongError"), ("%FF", "InvalidURI")],
)
def test_illegal_keys(server: Server, bucket: str, key: str, code: str) -> None:
    status, _, body = raw(server, "PUT", f"/{bucket}/{key}", b"x")
    assert (status, f"<Code>{code}</Code>" in body.decode()) == (400, True)


def test_copies(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "from é+ %2F?"}
    put = s3.put_object(**source, Body=LARGE, ContentType="text/plain", Metadata={"a": "1"})
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    told = s3.get_object(Bucket=bucket, Key="same")
    assert (told["ETag"], told["ContentType"], told["Metadata"]) == (put["ETag"], "text/plain", {"a": "1"})
    assert told["Body"].read() == LARGE
    s3.copy_object(Bucket=bucket, Key="new", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert s3.head_object(Bucket=bucket, Key="new")["Metadata"] == {"b": "2"}
    with pytest.raises(ClientError) as caught:
        s3.copy_object(**source, CopySource=source)
    assert code_of(caught) == ("InvalidRequest", 400)
    s3.copy_object(**source, CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "3"})
    assert fetch(s3, **source)[1] == LARGE
    for condition in [{"CopySourceIfMatch": '"x"'}, {"CopySourceIfNoneMatch": put["ETag"]}, {"IfNoneMatch": "*"}]:
        with pytest.raises(ClientError) as caught:
            s3.copy_object(Bucket=bucket, Key="same", CopySource=source, **condition)
        assert code_of(caught) == ("PreconditionFailed", 412)
    for missing, code in [
        ({"Bucket": bucket, "Key": "none"}, "NoSuchKey"),
        ({"Bucket": "nowhere", "Key": "k"}, "NoSuchBucket"),
    ]:
        with pytest.raises(ClientError) as caught:
            s3.copy_object(Bucket=bucket, Key="same", CopySource=missing)
        assert code_of(caught)[0] == code


def test_deleting_many(s3: Any, bucket: str) -> None:
    for n in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=b"")
    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k0"}, {"Key": "<none>&"}]})
    assert [item["Key"] for item in told["Deleted"]] == ["k0", "<none>&"]
    refused = {"Objects": [{"Key": "k1"}, {"Key": "k2", "ETag": '"x"'}, {"Key": "k" * 1025}], "Quiet": True}
    told = s3.delete_objects(Bucket=bucket, Delete=refused)
    assert [item["Code"] for item in told["Errors"]] == ["NotImplemented", "KeyTooLongError"]
    assert "Deleted" not in told
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k2", "k3", "k4"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<Delete>",
        b"<Other/>",
        b"<Delete/>",
        b'<!DOCTYPE Delete [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
        b"<!DOCTYPE Delete><Delete><Object><Key>k</Key></Object></Delete>",
        b"<Delete>" * 20 + b"</Delete>" * 20,
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="no-such"?><Delete><Object><Key>k</Key></Object></Delete>',
    ],
)
def test_documents_that_are_refused(server: Server, bucket: str, document: bytes) -> None:
    status, _, body = raw(server, "POST", f"/{bucket}?delete", document)
    assert (status, b"<Code>MalformedXML</Code>" in body) == (400, True)


def test_listings(s3: Any, bucket: str) -> None:
    keys = ["a", "a/1", "a/2", "b c/1", "é", "z"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for operation in ["list_objects", "list_objects_v2"]:
        for size in [1, 2, 1000]:
            pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
            assert [item["Key"] for page in pages for item in page.get("Contents", [])] == sorted(keys, key=str.encode)
            pages = list(
                s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size})
            )
            assert [item["Key"] for page in pages for item in page.get("Contents", [])] == ["a", "z", "é"]
            assert [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])] == ["a/", "b c/"]
    page = s3.list_objects_v2(Bucket=bucket, Prefix="a/", StartAfter="a/1", FetchOwner=True)
    assert (page["KeyCount"], page["IsTruncated"], page["Contents"][0]["Key"]) == (1, False, "a/2")
    assert page["Contents"][0]["Size"] == 3
    assert page["Contents"][0]["ETag"] == f'"{hashlib.md5(b"a/2").hexdigest()}"'
    assert page["Contents"][0]["Owner"]["ID"] == OWNER.account_id
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="!")
    assert code_of(caught) == ("InvalidArgument", 400)


def test_what_would_not_be_done_is_refused(s3: Any, bucket: str) -> None:
    for asked in [
        {"ServerSideEncryption": "aws:kms"},
        {"ACL": "public-read"},
        {"StorageClass": "GLACIER"},
        {"Tagging": "a=1"},
    ]:
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket=bucket, Key="k", Body=b"", **asked)
        assert code_of(caught) == ("NotImplemented", 501)
    s3.put_object(Bucket=bucket, Key="k", Body=b"", ACL="private", ExpectedBucketOwner=OWNER.account_id)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", ExpectedBucketOwner="1" * 12)
    assert code_of(caught) == ("AccessDenied", 403)


def test_a_worker_reaches_the_buckets_too(server: Server, s3: Any, bucket: str) -> None:
    pair = KEYRING.for_worker("floorplan")
    worker = make_client(server, pair.access_key_id, pair.secret_access_key)
    worker.put_object(Bucket=bucket, Key="k", Body=b"from a worker")
    assert fetch(s3, Bucket=bucket, Key="k")[1] == b"from a worker"
    worker.close()


def test_the_bucket_as_a_host_name(server: Server, bucket: str) -> None:
    port = server.url.rpartition(":")[2]
    elsewhere = Server(f"http://{bucket}.localhost:{port}", server.data)
    signed = sign(elsewhere, "PUT", "/k", {"Host": f"{bucket}.localhost:{port}"}, "UNSIGNED-PAYLOAD")
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    connection.request("PUT", "/k", b"x", signed)
    assert connection.getresponse().read() == b""
    connection.close()
    assert raw(server, "GET", f"/{bucket}/k")[2] == b"x"


# ---------------------------------------------------------------- presigned


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned(server: Server, bucket: str, version: str) -> None:
    client = make_client(server, OWNER.access_key_id, OWNER.secret_access_key, signature_version=version)
    where = {"Bucket": bucket, "Key": "a b/é"}
    url = client.generate_presigned_url("put_object", where)
    assert ("AWSAccessKeyId" in url) == (version == "s3")
    with urllib.request.urlopen(urllib.request.Request(url, b"presigned", {"Content-Type": ""}, method="PUT")) as told:
        assert told.status == 200
    asked = where | {"ResponseContentType": "text/x", "ResponseContentDisposition": "attachment; filename=é"}
    url = client.generate_presigned_url("get_object", asked)
    with urllib.request.urlopen(url) as told:
        assert told.read() == b"presigned"
        assert told.headers["Content-Type"] == "text/x"
        assert told.headers["Content-Disposition"].encode("latin-1").decode() == "attachment; filename=é"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("a%20b", "another"))
    assert caught.value.code == 403
    caught.value.close()
    client.close()


def test_a_presigned_header_cannot_split_the_answer(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", ResponseContentType="a/b\r\nx-evil: 1")
    assert code_of(caught) == ("InvalidArgument", 400)


# ---------------------------------------------------------------- in parts


def test_multipart(server: Server, s3: Any, bucket: str) -> None:
    before = len(server.blobs)
    where = {"Bucket": bucket, "Key": "big"}
    upload = s3.create_multipart_upload(**where, ContentType="video/mp4", Metadata={"a": "1"})["UploadId"]
    bodies = {1: LARGE[: 5 * MIB], 2: LARGE[5 * MIB : 11 * MIB], 7: b"tail"}
    s3.upload_part(**where, UploadId=upload, PartNumber=2, Body=b"replaced later")
    etags = {
        number: s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in bodies.items()
    }
    pages = s3.get_paginator("list_parts").paginate(**where, UploadId=upload, PaginationConfig={"PageSize": 2})
    listed = [(part["PartNumber"], part["Size"]) for page in pages for part in page["Parts"]]
    assert listed == [(number, len(body)) for number, body in bodies.items()]
    assert [item["UploadId"] for item in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    parts = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in etags.items()]}
    done = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    digests = b"".join(hashlib.md5(body).digest() for body in bodies.values())
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    again = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    assert again["ETag"] == done["ETag"]
    told = s3.get_object(**where)
    assert (told["ContentType"], told["Metadata"], told["ETag"]) == ("video/mp4", {"a": "1"}, done["ETag"])
    assert told["Body"].read() == b"".join(bodies.values())
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert len(server.blobs) == before + 1


def test_refused_completions(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    upload = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    etags = [s3.upload_part(**upload, PartNumber=number, Body=b"small")["ETag"] for number in (1, 2)]
    one, two = [{"PartNumber": number, "ETag": etag} for number, etag in zip((1, 2), etags, strict=True)]
    for parts, code in [
        ([one, two], "EntityTooSmall"),
        ([two, one], "InvalidPartOrder"),
        ([one, {"PartNumber": 3, "ETag": etags[0]}], "InvalidPart"),
        ([{"PartNumber": 1, "ETag": '"0"'}], "InvalidPart"),
        ([], "MalformedXML"),
    ]:
        with pytest.raises(ClientError) as caught:
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        assert code_of(caught) == (code, 400)
    s3.put_object(**where, Body=b"taken")
    with pytest.raises(ClientError) as caught:
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [one]}, IfNoneMatch="*")
    assert code_of(caught) == ("PreconditionFailed", 412)
    for call in [
        lambda: s3.upload_part(**upload, PartNumber=10_001, Body=b""),
        lambda: s3.upload_part(**upload, PartNumber=0, Body=b""),
    ]:
        with pytest.raises(ClientError) as caught:
            call()
        assert code_of(caught) == ("InvalidArgument", 400)
    s3.abort_multipart_upload(**upload)
    for call in [
        lambda: s3.abort_multipart_upload(**upload),
        lambda: s3.upload_part(**upload, PartNumber=1, Body=b""),
        lambda: s3.list_parts(**(upload | {"UploadId": "../../x"})),
        lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [one]}),
    ]:
        with pytest.raises(ClientError) as caught:
            call()
        assert code_of(caught) == ("NoSuchUpload", 404)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("CRC32", "COMPOSITE"), ("SHA256", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT")],
)
def test_multipart_checksums(s3: Any, bucket: str, algorithm: str, kind: str) -> None:
    from seatrial.domain.checksums import encoded, new_checksum, of_parts

    def summed(body: bytes) -> str:
        checksum = new_checksum(algorithm.lower())
        checksum.update(body)
        return encoded(checksum.digest())

    where = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**where, ChecksumAlgorithm=algorithm, ChecksumType=kind)["UploadId"]
    bodies = [LARGE[: 5 * MIB], b"tail"]
    parts = []
    for number, body in enumerate(bodies, 1):
        given = {f"Checksum{algorithm}": summed(body)}
        told = s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body, **given)
        parts.append({"PartNumber": number, "ETag": told["ETag"], **given})
    whole = summed(b"".join(bodies))
    wanted = whole if kind == "FULL_OBJECT" else of_parts(algorithm.lower(), [summed(body) for body in bodies])
    if kind == "FULL_OBJECT":
        wrong = {f"Checksum{algorithm}": encoded(bytes(8 if algorithm == "CRC64NVME" else 4)), "ChecksumType": kind}
        with pytest.raises(ClientError) as caught:
            s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts}, **wrong)
        assert code_of(caught) == ("BadDigest", 400)
    done = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    assert (done[f"Checksum{algorithm}"], done["ChecksumType"]) == (wanted, kind)
    told = s3.get_object(**where, ChecksumMode="ENABLED")
    assert told[f"Checksum{algorithm}"] == wanted
    assert told["Body"].read() == b"".join(bodies)


def test_parts_copied_from_an_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=LARGE)
    where = {"Bucket": bucket, "Key": "k"}
    upload = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    source = {"CopySource": {"Bucket": bucket, "Key": "source"}}
    ranges = [f"bytes=0-{5 * MIB - 1}", f"bytes={5 * MIB}-{len(LARGE) - 1}"]
    parts = []
    for number, part in enumerate(ranges, 1):
        told = s3.upload_part_copy(**upload, **source, PartNumber=number, CopySourceRange=part)
        parts.append({"PartNumber": number, "ETag": told["CopyPartResult"]["ETag"]})
    with pytest.raises(ClientError) as caught:
        s3.upload_part_copy(**upload, **source, PartNumber=3, CopySourceRange=f"bytes=0-{len(LARGE)}")
    assert code_of(caught) == ("InvalidArgument", 400)
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert fetch(s3, **where)[1] == LARGE


def test_boto3_transfers(s3: Any, bucket: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    s3.upload_file(str(source), bucket, "k")
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-3"')
    s3.download_file(bucket, "k", str(target))
    assert target.read_bytes() == LARGE
    s3.copy({"Bucket": bucket, "Key": "k"}, bucket, "copied")
    assert fetch(s3, Bucket=bucket, Key="copied")[1] == LARGE


@pytest.mark.parametrize("size", [5 * MIB, 5])
def test_a_long_completion_is_kept_alive(monkeypatch: pytest.MonkeyPatch, s3: Any, bucket: str, size: int) -> None:
    monkeypatch.setattr("seatrial.http.doors.s3.uploads.S3_QUIET_SECONDS_MAX", 0)  # every completion is a long one
    where = {"Bucket": bucket, "Key": "k"}
    upload = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    etags = [s3.upload_part(**upload, PartNumber=number, Body=LARGE[:size])["ETag"] for number in (1, 2)]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    if size == 5 * MIB:
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        assert fetch(s3, **where)[1] == LARGE[:size] * 2
    else:
        with pytest.raises(ClientError) as caught:
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        assert caught.value.response["Error"]["Code"] == "EntityTooSmall"


# ---------------------------------------------------------------- the command line


def test_the_aws_command_line(server: Server, bucket: str, tmp_path: Path, aws_command: Path) -> None:
    def aws(*words: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": OWNER.access_key_id,
            "AWS_SECRET_ACCESS_KEY": OWNER.secret_access_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run([aws_command, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    tree = {"one.txt": b"1", "sub/two words.bin": LARGE, "sub/é.txt": b"3"}
    local, back = tmp_path / "local", tmp_path / "back"
    for name, body in tree.items():
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(body)
    uri = f"s3://{bucket}/tree"
    aws("s3", "sync", str(local), uri)
    assert aws("s3", "sync", str(local), uri) == ""
    assert sorted(line.split(maxsplit=3)[3] for line in aws("s3", "ls", "--recursive", uri).splitlines()) == sorted(
        f"tree/{name}" for name in tree
    )
    assert "PRE sub/" in aws("s3", "ls", uri + "/")
    aws("s3", "sync", uri, str(back))
    assert {str(path.relative_to(back)): path.read_bytes() for path in back.rglob("*") if path.is_file()} == tree
    aws("s3", "cp", f"{uri}/sub/two words.bin", f"s3://{bucket}/copied")
    aws("s3", "cp", f"s3://{bucket}/copied", str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_bytes() == LARGE
    with urllib.request.urlopen(aws("s3", "presign", f"s3://{bucket}/copied").strip()) as told:
        assert told.read() == LARGE
    aws("s3", "rm", "--recursive", f"s3://{bucket}")
    aws("s3", "rb", f"s3://{bucket}")
    assert bucket not in aws("s3", "ls")
