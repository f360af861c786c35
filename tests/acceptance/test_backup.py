"""A copy taken while serving starts elsewhere and finishes its jobs; what came after it never matches it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

BIG = "'x' * 300_000"
SPACES = " " * 20_000  # makes a request an object


def incarnation(data: Path) -> str:
    with closing(sqlite3.connect(data / "seatrial.db")) as connection:
        return str(connection.execute("SELECT incarnation FROM stores").fetchone()[0])


def test_a_copy_starts_and_finishes_its_jobs(
    own_api: Any, gate: Any, start_server: Any, api_of: Any, tmp_path: Path
) -> None:
    api = own_api
    api.serve("copied")
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="a/b.bin", Body=b"b" * 100_000)
    ended = api.submit("copied", BIG)
    assert api.value(ended) == "x" * 300_000
    running = api.submit("copied", f"{gate.code} + {BIG}")
    gate.reached()
    queued = [api.submit("copied", f"{number}{SPACES}") for number in range(5)]
    later: list[str] = []
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            later.append(api.submit("copied", "7"))

    submitting = threading.Thread(target=go_on)
    submitting.start()
    try:
        while len(later) < 5:
            stop.wait(0.01)
        told = json.loads(api.server.cli("backup", f"{tmp_path}/backups/", "--json").stdout)
    finally:
        stop.set()
        submitting.join()
    file = Path(told["file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list((tmp_path / "backups").iterdir()) == [file]
    assert file.stat().st_size == told["bytes"]

    api.server.cli("restore", str(file), "--data", str(tmp_path / "second" / "data"))
    second = start_server(tmp_path / "second" / "data")
    assert incarnation(second.data) != incarnation(api.server.data)
    copy = api_of(second)
    assert copy.value(ended) == "x" * 300_000
    gate.reached()  # by the copy's own worker: the first one's is still held, and is no concern of it
    gate.open("again ")
    assert copy.value(running) == "again " + "x" * 300_000
    assert [copy.value(job_id) for job_id in queued] == list(range(5))
    present = [job_id for job_id in later if copy.http.get(f"/v1/jobs/{job_id}").status_code == 200]
    assert present == later[: len(present)], "a state of one moment"
    assert all(copy.value(job_id) == 7 for job_id in present)
    body = second.client("s3").get_object(Bucket="mine", Key="a/b.bin")["Body"].read()
    assert body == b"b" * 100_000
    assert copy.run("copied", "1") == 1
    assert copy.endpoint("copied")["status"] == "InService"
    package = copy.endpoint("copied")["versions"][0]["package_sha256"]
    assert stat.S_IMODE((second.data / "packages" / package).stat().st_mode) == 0o555


def test_nothing_that_it_needs_is_removed_meanwhile(own_api: Any, tmp_path: Path, eventually: Any) -> None:
    api = own_api
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="mine")
    bodies = {f"{number}": os.urandom(3 << 20) for number in range(4)}
    for key, body in bodies.items():
        s3.put_object(Bucket="mine", Key=key, Body=body)
    blobs = api.server.data / "blobs"
    assert len(list(blobs.rglob("*/*"))) == 4
    with api.http.stream("GET", "/v1/backup") as answer:
        chunks = answer.iter_raw()
        begun = next(chunks)
        second = api.http.get("/v1/backup")
        assert (second.status_code, second.json()["error_type"]) == (503, "backup_running")
        for key in bodies:
            s3.delete_object(Bucket="mine", Key=key)
        (tmp_path / "b.tar").write_bytes(begun + b"".join(chunks))
        assert (tmp_path / "b.tar").stat().st_size == int(answer.headers["content-length"])
    with tarfile.open(tmp_path / "b.tar") as tar:
        sums = {hashlib.sha256(tar.extractfile(one).read()).digest() for one in tar if one.name.startswith("blobs/")}
    assert sums == {hashlib.sha256(body).digest() for body in bodies.values()}
    s3.put_object(Bucket="mine", Key="last", Body=b"")
    eventually(lambda: not list(blobs.rglob("*/*")))
    with api.http.stream("GET", "/v1/backup") as answer:
        next(answer.iter_raw())  # and away
    eventually(lambda: api.http.get("/v1/backup").status_code == 200)
    eventually(lambda: not list((api.server.data / "backups").iterdir()))


@pytest.mark.parametrize("how", ["cut", "changed", "other"])
def test_what_is_no_whole_backup_is_refused(shared_server: Any, tmp_path: Path, how: str) -> None:
    s3 = shared_server.client("s3")
    if how == "cut":
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="k", Body=b"k" * 50_000)
    file = tmp_path / "b.tar"
    shared_server.cli("backup", str(file))
    content = bytearray(file.read_bytes())
    if how == "cut":
        del content[-2048:]
    elif how == "changed":
        at = content.rindex(b"k" * 50_000)
        content[at] = ord("l")
    else:
        content = bytearray(b"no tar at all" * 1000)
    file.write_bytes(content)
    refused = shared_server.cli("restore", str(file), "--data", str(tmp_path / "data"), check=False)
    assert refused.returncode == 1
    assert "cannot be restored" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]


def test_what_is_there_is_not_replaced_unasked(shared_server: Any, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    file.write_text("mine")
    refused = shared_server.cli("backup", str(file), check=False)
    assert (refused.returncode, file.read_text()) == (2, "mine")
    shared_server.cli("backup", str(file), "--force")
    data = tmp_path / "data"
    data.mkdir()
    (data / "mine").touch()
    refused = shared_server.cli("restore", str(file), "--data", str(data), check=False)
    assert refused.returncode == 2
    assert [path.name for path in data.iterdir()] == ["mine"]
