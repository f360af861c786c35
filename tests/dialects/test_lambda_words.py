"""The words of Lambda's wires: names, payloads, what runtimes post, zip files."""

from __future__ import annotations

import json
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.domain.errors import Unproven
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.aws_lambda.invocations import read_invocation
from seatrial.http.dialects.aws_lambda.names import FunctionName, read_name
from seatrial.http.dialects.aws_lambda.runtime import read_error
from seatrial.package import zipped
from seatrial.package.zipped import tar_of_zip

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("given_name", "qualifier", "meant"),
    [
        ("f", None, FunctionName("f")),
        ("f:7", None, FunctionName("f", qualifier="7")),
        ("f:7", "$LATEST", FunctionName("f", qualifier="$LATEST")),
        ("function", None, FunctionName("function")),
        ("123456789012:function:f", None, FunctionName("f", "123456789012")),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
            None,
            FunctionName("f", "123456789012", "$LATEST"),
        ),
    ],
)
def test_names(given_name: str, qualifier: str | None, meant: FunctionName) -> None:
    assert read_name(given_name, qualifier) == meant


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.none() | st.text(max_size=60))
def test_any_payload_is_read_or_refused(body: bytes, context: str | None) -> None:
    given_members = {} if context is None else {"ClientContext": context}
    try:
        read = read_invocation(given_members, body, "arn", None)
    except AwsError:
        return  # anything else would be a 500
    json.loads(read.event)
    json.loads(read.extras)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.none() | st.text(max_size=60))
def test_anything_that_a_runtime_posts_as_an_error_is_a_failure(body: bytes, kind: str | None) -> None:
    failure = read_error(body, kind)
    assert isinstance(failure.message, str)
    json.dumps(failure.details)


def test_an_error_of_the_python_runtime() -> None:
    body = {"errorMessage": "too dark", "errorType": "ValueError", "requestId": "r", "stackTrace": ["  a\n", "  b\n"]}
    failure = read_error(json.dumps(body).encode(), "ValueError")
    assert (failure.error_type, failure.message) == ("handler_error", "too dark")
    assert failure.details == {"exception": "ValueError", "traceback": "  a\n  b\n"}
    body["errorType"] = "Runtime.MarshalError"
    assert read_error(json.dumps(body).encode(), None).error_type == "output_not_serialisable"


def _zip(path: Path, entries: dict[str, tuple[int, str]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (mode, text) in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, text)
    return path


def test_a_zip_file_as_a_package(tmp_path: Path) -> None:
    entries = {
        "bin/run": (stat.S_IFREG | 0o755, "#!"),
        "app.py": (0, "x = 1"),
        "link": (stat.S_IFLNK | 0o777, "app.py"),
    }
    added = {"seatrial.toml": b"new", "app.py": b"never taken"}
    tar_of_zip(_zip(tmp_path / "a.zip", entries), tmp_path / "a.tar.gz", added)
    with tarfile.open(tmp_path / "a.tar.gz") as packed:
        members = {one.name: one for one in packed.getmembers()}
        assert members["bin/run"].mode == 0o755
        assert members["link"].linkname == "app.py"
        found = {name: packed.extractfile(name) for name in ("app.py", "seatrial.toml")}
        assert [file.read() for file in found.values() if file] == [b"x = 1", b"new"]


def test_zip_files_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "LAMBDA_UNPACKED_BYTES_MAX", 1_000)
    bomb = _zip(tmp_path / "b.zip", {"zeros": (0, "0" * 1_001)})
    with pytest.raises(Unproven, match="must be smaller than 1000 bytes"):
        tar_of_zip(bomb, tmp_path / "b.tar.gz", {})
    whole = _zip(tmp_path / "c.zip", {"a": (0, "x" * 900)}).read_bytes()
    for broken in (b"", b"PK\x03\x04", whole[:40], whole[:-30], whole[:50] + b"\xff" * 20 + whole[70:]):
        (tmp_path / "d.zip").write_bytes(broken)
        with pytest.raises(Unproven, match="no readable zip file"):
            tar_of_zip(tmp_path / "d.zip", tmp_path / "d.tar.gz", {})
