"""Signatures made by botocore's own signers hold, and stop holding when one byte of what they cover changes."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import (
    HmacV1QueryAuth,
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
    SigV4QueryAuth,
)
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.adapters.system.clock import SystemClock
from seatrial.domain.credentials import Credentials, owner_of, worker_of
from seatrial.domain.objects import ObjectName
from seatrial.engine.keyring import Keyring
from seatrial.http.presigned import presigned_url
from seatrial.http.sigv4 import Claimed, Flaw, Form, SignatureRefused, SignedRequest, Verified, read_claim, verify

KEYRING = Keyring(Credentials("AKIDOFTHETESTS", "the/secret+of the tests", "key"), SystemClock())
BOTO = BotoCredentials("AKIDOFTHETESTS", "the/secret+of the tests")
HOST = "127.0.0.1:8400"


def at_ms(seconds: float = 0.0) -> int:
    """That many seconds from now: botocore signs by the machine's clock, so this must be asked when it has."""
    return int((datetime.now(UTC).timestamp() + seconds) * 1000)


def as_sent(request: AWSRequest) -> SignedRequest:
    """What a server receives of a request that botocore has signed."""
    url = urlsplit(request.url)
    headers = [(name.lower(), str(value)) for name, value in request.headers.items()]
    if "host" not in {name for name, _ in headers}:
        headers.append(("host", url.netloc))
    return SignedRequest(request.method, url.path or "/", url.query, headers)


def boto_request(method: str, path: str, query: str = "", headers: dict[str, str] | None = None, body: bytes = b""):
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    return AWSRequest(method, url, headers or {}, body)


def check(request: SignedRequest, body: bytes = b"", now_ms: int | None = None) -> Verified:
    body_sha256 = hashlib.sha256(body).hexdigest()
    return verify(
        request, read_claim(request), KEYRING.by_access_key, body_sha256, at_ms() if now_ms is None else now_ms
    )


def flaw_of(request: SignedRequest, body: bytes = b"", now_ms: int | None = None) -> Flaw:
    with pytest.raises(SignatureRefused) as refused:
        check(request, body, now_ms)
    return refused.value.flaw


def json_call(body: bytes = b'{"EndpointName": "a"}') -> SignedRequest:
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.DescribeEndpoint"}
    request = boto_request("POST", "/", "", headers, body)
    SigV4Auth(BOTO, "sagemaker", "eu-west-1").add_auth(request)
    return as_sent(request)


# ---------------------------------------------------------------- what holds

keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
queries = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8), keys, max_size=4
)


def encoded(query: dict[str, str]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query.items())


@given(key=keys, query=queries, value=values, body=st.binary(max_size=40))
@settings(deadline=None, max_examples=60)
def test_any_s3_request_that_botocore_signs_holds(key: str, query: dict[str, str], value: str, body: bytes) -> None:
    headers = {"x-amz-meta-note": value, "Content-Type": "text/plain"}
    request = boto_request("PUT", "/bucket/" + quote(key, safe="/~"), encoded(query), headers, body)
    S3SigV4Auth(BOTO, "s3", "us-east-1").add_auth(request)
    verified = check(as_sent(request))
    assert verified.principal == owner_of("000000000000")
    assert verified.payload_sha256 == hashlib.sha256(body).hexdigest()


@given(name=keys, query=queries, value=values, body=st.binary(max_size=40))
@settings(deadline=None, max_examples=60)
def test_any_other_request_that_botocore_signs_holds(name: str, query: dict[str, str], value: str, body: bytes) -> None:
    path = f"/endpoints/{quote(name, safe='')}/invocations"
    request = boto_request("POST", path, encoded(query), {"X-Amzn-SageMaker-Custom-Attributes": value}, body)
    SigV4Auth(BOTO, "sagemaker", "us-east-1").add_auth(request)
    assert check(as_sent(request), body).claimed.service == "sagemaker"


@given(key=keys, query=queries)
@settings(deadline=None, max_examples=60)
def test_any_presigned_url_holds(key: str, query: dict[str, str]) -> None:
    path = "/bucket/" + quote(key, safe="/~")
    own = ("x-amz-", "awsaccesskeyid", "signature", "expires")  # what is itself part of signing
    query = {name: value for name, value in query.items() if not name.lower().startswith(own)}
    v4 = boto_request("GET", path, encoded(query))
    S3SigV4QueryAuth(BOTO, "s3", "us-east-1", expires=60).add_auth(v4)
    assert check(as_sent(v4)).payload_sha256 is None
    v2 = boto_request("GET", path, encoded(query))
    HmacV1QueryAuth(BOTO, expires=60).add_auth(v2)
    assert check(as_sent(v2)).claimed.form is Form.QUERY_V2


def test_sub_resources_and_response_overrides_are_part_of_the_old_presigned_form() -> None:
    query = encoded(
        {
            "response-content-disposition": 'attachment; filename="a b.png"',
            "response-content-type": "image/png",
            "uploadId": "u/1",
            "partNumber": "2",
        }
    )
    request = boto_request("GET", "/bucket/a%20b", query)
    HmacV1QueryAuth(BOTO, expires=60).add_auth(request)
    sent = as_sent(request)
    assert check(sent).principal.owner == "000000000000"
    assert flaw_of(replace(sent, raw_query=sent.raw_query.replace("image%2Fpng", "image%2Fgif"))) is Flaw.MISMATCH
    assert flaw_of(replace(sent, raw_query=sent.raw_query.replace("partNumber=2", "partNumber=3"))) is Flaw.MISMATCH


def test_the_content_type_that_was_presigned_must_be_sent() -> None:
    request = boto_request("PUT", "/bucket/key", "", {"Content-Type": "image/png"})
    HmacV1QueryAuth(BOTO, expires=60).add_auth(request)
    sent = replace(as_sent(request), headers=[("host", HOST), ("content-type", "image/png")])
    assert check(sent).claimed.form is Form.QUERY_V2
    assert flaw_of(replace(sent, headers=[("host", HOST), ("content-type", "text/html")])) is Flaw.MISMATCH


def test_headers_that_botocore_moves_into_the_old_presigned_query_count_as_headers() -> None:
    request = boto_request("PUT", "/bucket/key", "", {"x-amz-meta-plan": "a"})
    HmacV1QueryAuth(BOTO, expires=60).add_auth(request)
    sent = replace(as_sent(request), headers=[("host", HOST)])
    assert "x-amz-meta-plan=a" in sent.raw_query
    assert check(sent).claimed.form is Form.QUERY_V2
    assert flaw_of(replace(sent, raw_query=sent.raw_query.replace("plan=a", "plan=b"))) is Flaw.MISMATCH


def test_a_presigned_request_to_another_service_signs_the_empty_body() -> None:
    request = boto_request("GET", "/", "Action=GetCallerIdentity&Version=2011-06-15")
    SigV4QueryAuth(BOTO, "sts", "us-east-1", expires=60).add_auth(request)
    assert check(as_sent(request)).claimed.service == "sts"
    assert flaw_of(as_sent(request), body=b"Action=Other") is Flaw.MISMATCH


def test_an_unsigned_payload_is_said_to_be_one() -> None:
    request = boto_request("PUT", "/bucket/key", "", {"Content-MD5": "x"}, b"bytes")
    request.url = request.url.replace("http:", "https:")
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    S3SigV4Auth(BOTO, "s3", "us-east-1").add_auth(request)
    assert check(as_sent(request)).payload_sha256 == "UNSIGNED-PAYLOAD"


def test_chunk_signatures_are_those_of_the_documentation() -> None:
    """The example of "Signature calculations: transferring payload in multiple chunks" in S3's documentation."""
    stamp = "20130524T000000Z"
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "key")
    names = (
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
        "x-amz-storage-class"
    )
    scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    sent = SignedRequest(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        [
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", stamp),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("authorization", f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={names},Signature={seed}"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
        ],
    )
    now_ms = int(datetime(2013, 5, 24, tzinfo=UTC).timestamp() * 1000)
    verified = verify(sent, read_claim(sent), Keyring(credentials, SystemClock()).by_access_key, "", now_ms)
    assert verified.chunks is not None
    first = verified.chunks.chunk(seed, hashlib.sha256(b"a" * 65536).hexdigest())
    assert first == "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
    second = verified.chunks.chunk(first, hashlib.sha256(b"a" * 1024).hexdigest())
    assert second == "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
    last = verified.chunks.chunk(second, hashlib.sha256(b"").hexdigest())
    assert last == "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"


# ---------------------------------------------------------------- what does not


def altered(text: str, place: int) -> str:
    """The same text with one other letter in it."""
    return text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]


def s3_put() -> SignedRequest:
    request = boto_request("PUT", "/bucket/a/b%20c", "partNumber=1&uploadId=abc", {"x-amz-meta-a": "bc"}, b"body")
    S3SigV4Auth(BOTO, "s3", "us-east-1").add_auth(request)
    return as_sent(request)


def s3_presigned() -> SignedRequest:
    request = boto_request("GET", "/bucket/a/b%20c", "response-content-type=image%2Fpng")
    S3SigV4QueryAuth(BOTO, "s3", "us-east-1", expires=60).add_auth(request)
    return as_sent(request)


def s3_presigned_v2() -> SignedRequest:
    request = boto_request("GET", "/bucket/a/b%20c", "response-content-type=image%2Fpng")
    HmacV1QueryAuth(BOTO, expires=60).add_auth(request)
    return as_sent(request)


def runtime_call() -> SignedRequest:
    request = boto_request("POST", "/endpoints/a/invocations", "a=b", {"X-Amzn-SageMaker-Inference-Id": "i"}, b"body")
    SigV4Auth(BOTO, "sagemaker", "us-east-1").add_auth(request)
    return as_sent(request)


SIGNED = {
    "s3_put": (s3_put, b""),
    "s3_presigned": (s3_presigned, b""),
    "s3_presigned_v2": (s3_presigned_v2, b""),
    "runtime_call": (runtime_call, b"body"),
    "json_call": (json_call, b'{"EndpointName": "a"}'),
}


@pytest.mark.parametrize("kind", SIGNED)
def test_every_altered_byte_of_what_is_signed_is_refused(kind: str) -> None:
    make, body = SIGNED[kind]
    sent = make()
    check(sent, body)
    for place in range(len(sent.method)):
        flaw_of(replace(sent, method=altered(sent.method, place)), body)
    for place in range(len(sent.raw_path)):
        flaw_of(replace(sent, raw_path=altered(sent.raw_path, place)), body)
    for place in range(len(sent.raw_query)):
        flaw_of(replace(sent, raw_query=altered(sent.raw_query, place)), body)
    for place in range(len(body)):
        flaw_of(sent, body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])


@pytest.mark.parametrize("kind", ["s3_put", "s3_presigned", "runtime_call", "json_call"])
def test_every_altered_byte_of_a_header_is_refused(kind: str) -> None:
    make, body = SIGNED[kind]
    sent = make()
    for number, (name, value) in enumerate(sent.headers):
        for place in range(len(value)):
            headers = list(sent.headers)
            headers[number] = (name, altered(value, place))
            flaw_of(replace(sent, headers=headers), body)


@pytest.mark.parametrize("kind", SIGNED)
def test_a_header_that_was_put_in_on_the_way_is_refused(kind: str) -> None:
    make, body = SIGNED[kind]
    sent = make()
    flaw = flaw_of(replace(sent, headers=[*sent.headers, ("x-amz-acl", "public-read")]), body)
    assert flaw is (Flaw.MISMATCH if kind == "s3_presigned_v2" else Flaw.UNSIGNED_HEADER)


def test_a_second_value_of_a_signed_header_is_refused() -> None:
    sent = s3_put()
    assert flaw_of(replace(sent, headers=[*sent.headers, ("x-amz-meta-a", "more")])) is Flaw.MISMATCH


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        (lambda sent: replace(sent, headers=[h for h in sent.headers if h[0] != "authorization"]), Flaw.MISSING),
        (lambda sent: replace(sent, raw_path="/a#b"), Flaw.MALFORMED),
        (lambda sent: replace(sent, raw_path="*"), Flaw.MALFORMED),
        (lambda sent: with_authorization(sent, lambda text: text.replace("AWS4-", "AWS3-")), Flaw.UNSUPPORTED),
        (lambda sent: with_authorization(sent, lambda text: "AWS AKID:c2ln"), Flaw.UNSUPPORTED),
        (lambda sent: with_authorization(sent, lambda text: "AWS4-HMAC-SHA256 "), Flaw.MALFORMED),
        (lambda sent: with_authorization(sent, lambda text: text.replace("SignedHeaders=", "S=")), Flaw.MALFORMED),
        (lambda sent: with_authorization(sent, lambda text: text.replace("/aws4_request", "")), Flaw.MALFORMED),
        (lambda sent: with_authorization(sent, lambda text: text.replace("AKIDOF", "AKIDIF")), Flaw.UNKNOWN_KEY),
        (lambda sent: with_authorization(sent, lambda text: text.replace("host;", "")), Flaw.UNSIGNED_HEADER),
        (lambda sent: replace(sent, raw_query="X-Amz-Signature=aa"), Flaw.MALFORMED),
        (lambda sent: replace(sent, headers=[h for h in sent.headers if h[0] != "x-amz-date"]), Flaw.MALFORMED),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[SignedRequest], SignedRequest], flaw: Flaw) -> None:
    assert flaw_of(change(json_call()), b'{"EndpointName": "a"}') is flaw


def with_authorization(sent: SignedRequest, change: Callable[[str], str]) -> SignedRequest:
    headers = [(name, change(value) if name == "authorization" else value) for name, value in sent.headers]
    return replace(sent, headers=headers)


def test_the_clock_may_be_off_by_fifteen_minutes() -> None:
    body = b'{"EndpointName": "a"}'
    sent = json_call(body)
    for seconds in (-890, 890):
        check(sent, body, at_ms(seconds))
    for seconds in (-1000, 1000):
        assert flaw_of(sent, body, at_ms(seconds)) is Flaw.SKEWED


@pytest.mark.parametrize("make", [s3_presigned, s3_presigned_v2])
def test_presigned_urls_end(make: Callable[[], SignedRequest]) -> None:
    sent = make()
    check(sent, now_ms=at_ms(55))
    assert flaw_of(sent, now_ms=at_ms(90)) is Flaw.EXPIRED


def test_a_presigned_url_may_not_outlive_a_week() -> None:
    request = boto_request("GET", "/bucket/key")
    S3SigV4QueryAuth(BOTO, "s3", "us-east-1", expires=604_801).add_auth(request)
    assert flaw_of(as_sent(request)) is Flaw.MALFORMED


def test_a_declared_hash_of_another_body_is_refused() -> None:
    request = boto_request("POST", "/", "", {"X-Amz-Content-SHA256": hashlib.sha256(b"a").hexdigest()}, b"a")
    SigV4Auth(BOTO, "logs", "us-east-1").add_auth(request)
    check(as_sent(request), b"a")
    assert flaw_of(as_sent(request), b"b") is Flaw.MISMATCH


def test_s3_needs_a_payload_hash() -> None:
    sent = s3_put()
    headers = [header for header in sent.headers if header[0] != "x-amz-content-sha256"]
    unhashed = with_authorization(
        replace(sent, headers=headers), lambda text: text.replace("x-amz-content-sha256;", "")
    )
    assert flaw_of(unhashed) is Flaw.PAYLOAD_HASH


def test_a_workers_key_is_told_from_the_owners() -> None:
    pair = KEYRING.for_worker("plans")
    request = boto_request("GET", "/bucket/key")
    S3SigV4Auth(BotoCredentials(pair.access_key_id, pair.secret_access_key), "s3", "us-east-1").add_auth(request)
    assert check(as_sent(request)).principal == worker_of("000000000000", "plans")


def test_a_claim_names_service_and_region() -> None:
    claimed = read_claim(json_call())
    assert isinstance(claimed, Claimed)
    assert (claimed.service, claimed.region, claimed.access_key_id) == ("sagemaker", "eu-west-1", "AKIDOFTHETESTS")


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_our_own_urls_expire_and_cannot_be_altered(method):
    """Those of results, and those of uploads with the job that waits for them."""
    query = {"x-amz-meta-seatrial-job": "job-1"} if method == "PUT" else {}
    name = ObjectName("seatrial-results", "echo/ä b+c.png")
    url = presigned_url(KEYRING, KEYRING.owner, method, f"http://{HOST}/", name, 60, query=query)
    sent = as_sent(AWSRequest(method, url))
    assert check(sent, now_ms=at_ms(59)).principal == KEYRING.owner
    assert flaw_of(sent, now_ms=at_ms(62)) is Flaw.EXPIRED
    assert flaw_of(replace(sent, raw_query=sent.raw_query.replace("Expires=60", "Expires=600"))) is Flaw.MISMATCH
    assert flaw_of(replace(sent, raw_path=sent.raw_path.replace("echo", "other"))) is Flaw.MISMATCH
    assert flaw_of(replace(sent, method="DELETE")) is Flaw.MISMATCH
    if query:
        assert flaw_of(replace(sent, raw_query=sent.raw_query.replace("job-1", "job-2"))) is Flaw.MISMATCH
