"""S3's words by themselves: chunked bodies cut anywhere, ranges, addresses, operations, checksums."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.domain.checksums import ALGORITHMS, encoded, new_checksum, of_parts
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3.address import Address, check_bucket, read_address, read_copy_source
from seatrial.http.dialects.s3.aws_chunked import ChunkedDecoder
from seatrial.http.dialects.s3.conditions import read_range
from seatrial.http.dialects.s3.operations import Operation, read_operation
from seatrial.http.dialects.s3.xml import document, parse


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    end=st.sampled_from([b"\r\n", b"\n"]),
)
def test_a_chunked_body_may_be_cut_anywhere(pieces: list[bytes], cuts: list[int], end: bytes) -> None:
    wire = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    wire += b"0\r\nx-amz-checksum-crc32:AAAAAA==" + end + b"\r\n"
    bounds = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    decoder = ChunkedDecoder(None, trailers=True)
    payload = b"".join(decoder.feed(wire[low:high]) for low, high in pairwise(bounds))
    assert payload == b"".join(pieces)
    assert decoder.finish() == {"x-amz-checksum-crc32": "AAAAAA=="}


@pytest.mark.parametrize("wire", [b"", b"5\r\nabc", b"5\r\nabcde\r\n", b"5\r\nabcde"])
def test_a_chunked_body_that_ends_early(wire: bytes) -> None:
    decoder = ChunkedDecoder(None, trailers=False)
    decoder.feed(wire)
    with pytest.raises(AwsError, match="IncompleteBody"):
        decoder.finish()


@pytest.mark.parametrize("wire", [b"zz\r\n", b"-1\r\n", b"3\r\nabcdef\r\n", b"x" * 20_000, b"0\r\n" + b"x" * 20_000])
def test_a_chunked_body_that_is_malformed(wire: bytes) -> None:
    with pytest.raises(AwsError, match="InvalidChunkSizeError"):
        ChunkedDecoder(None, trailers=False).feed(wire)


@given(start=st.integers(0, 12), end=st.integers(0, 12), size=st.integers(0, 10))
def test_ranges_are_those_of_python(start: int, end: int, size: int) -> None:
    body = bytes(range(size))
    if end < start <= size - 1:
        assert read_range(f"bytes={start}-{end}", size) is None
    elif start >= size:
        with pytest.raises(AwsError, match="InvalidRange"):
            read_range(f"bytes={start}-{end}", size)
    else:
        found = read_range(f"bytes={start}-{end}", size)
        assert found is not None
        assert body[found[0] : found[0] + found[1]] == body[start : end + 1]


@pytest.mark.parametrize(
    ("host", "path", "bucket", "key"),
    [
        ("127.0.0.1:8400", b"/", None, None),
        ("127.0.0.1:8400", b"/bucket", "bucket", None),
        ("127.0.0.1:8400", b"/bucket/", "bucket", None),
        ("127.0.0.1:8400", b"/bucket//a/../%2F", "bucket", "/a/..//"),
        ("localhost:8400", b"/bucket/k", "bucket", "k"),
        ("bucket.localhost:8400", b"/k", "bucket", "k"),
        ("my.bucket.s3.localhost", b"/", "my.bucket", None),
        ("s3.localhost", b"/bucket/k", "bucket", "k"),
        ("bucket.example.org", b"/k/l", "bucket", "k/l"),
        ("evil.example.com", b"/bucket/k", "bucket", "k"),
    ],
)
def test_addresses(host: str, path: bytes, bucket: str | None, key: str | None) -> None:
    assert read_address(host, path, b"a=%20", "example.org") == Address(bucket, key, {"a": " "})


@pytest.mark.parametrize("name", ["abc", "a-b.c-d", "0" * 63, "a.b"])
def test_legal_bucket_names(name: str) -> None:
    check_bucket(name)


def test_copy_sources() -> None:
    assert read_copy_source("/bucket/a%20b%3Fc").key == "a b?c"
    assert read_copy_source("bucket/a?versionId=null").key == "a"
    for header in ["bucket", "bucket/", "", "bucket/a?versionId=abc"]:
        with pytest.raises(AwsError, match="InvalidArgument"):
            read_copy_source(header)


@pytest.mark.parametrize(
    ("method", "address", "operation"),
    [
        ("GET", Address(None, None, {}), Operation.LIST_BUCKETS),
        ("GET", Address("abc", None, {"list-type": "2", "prefix": ""}), Operation.LIST_OBJECTS),
        ("PUT", Address("abc", "k", {"x-id": "PutObject"}), Operation.PUT_OBJECT),
        ("PUT", Address("abc", "k", {"partNumber": "1", "uploadId": "u"}), Operation.UPLOAD_PART),
        ("GET", Address("abc", "k", {"versionId": "null"}), Operation.GET_OBJECT),
    ],
)
def test_operations(method: str, address: Address, operation: Operation) -> None:
    assert read_operation(method, address, {}) is operation


@pytest.mark.parametrize(
    ("method", "address", "code"),
    [
        ("PUT", Address("abc", "k", {"acl": ""}), "NotImplemented"),
        ("DELETE", Address("abc", "k", {"tagging": ""}), "NotImplemented"),
        ("GET", Address("abc", "k", {"acl": "", "uploadId": "u"}), "NotImplemented"),
        ("GET", Address("abc", "k", {"versionId": "1"}), "InvalidArgument"),
        ("GET", Address("abc", "k", {"partNumber": "1"}), "NotImplemented"),
        ("POST", Address("abc", None, {}), "NotImplemented"),
        ("PATCH", Address("abc", "k", {}), "MethodNotAllowed"),
        ("DELETE", Address(None, None, {}), "MethodNotAllowed"),
    ],
)
def test_operations_that_are_refused(method: str, address: Address, code: str) -> None:
    with pytest.raises(AwsError, match=code):
        read_operation(method, address, {})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_legal_characters_survive_a_document(key: str) -> None:
    raw = document("Delete", [("Object", [("Key", key)])])
    if all(char in "\t\n\r" or ord(char) >= 32 for char in key) and not {"\ufffe", "\uffff"} & set(key):
        assert parse(raw, "Delete").findtext("Object/Key") == key
    else:
        with pytest.raises(AwsError, match="MalformedXML"):  # XML 1.0 has no such characters; S3 does the same
            parse(raw, "Delete")


# The check value of each algorithm in its catalogue, over "123456789".
@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("crc32", "cbf43926"),
        ("crc32c", "e3069283"),
        ("crc64nvme", "ae8b14860a799888"),
        ("sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ("sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ],
)
def test_checksums_have_their_check_values(algorithm: str, digest: str) -> None:
    for cut in range(10):
        checksum = new_checksum(algorithm)
        checksum.update(b"123456789"[:cut])
        checksum.update(b"123456789"[cut:])
        assert checksum.digest().hex() == digest


def test_a_composite_is_the_checksum_of_checksums() -> None:
    for algorithm in ALGORITHMS:
        part = new_checksum(algorithm)
        part.update(b"part")
        whole = new_checksum(algorithm)
        whole.update(part.digest() * 2)
        assert of_parts(algorithm, [encoded(part.digest())] * 2) == encoded(whole.digest()) + "-2"
