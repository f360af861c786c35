"""What a killed server left behind: its processes, its scratch, what was half received and what nobody names."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def kept_object(api: Any) -> Path:
    """The file of an object that no socket's buffers hold: a backup of it stays under way until it is read."""
    s3 = api.server.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="large", Body=bytes(32 << 20))
    (file,) = files(api.server.data / "blobs")
    return file


def half_a_request(api: Any, path: str, media_type: str) -> socket.socket:
    """A body of 9 MiB announced, 8 MiB of it sent."""
    address = urlsplit(api.server.url)
    connection = socket.create_connection((address.hostname, address.port))
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: Bearer {api.server.variables['SEATRIAL_API_KEY']}",
        f"Content-Type: {media_type}",
        f"Content-Length: {9 << 20}",
    ]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + bytes(8 << 20))
    return connection


def test_nothing_of_it_stays(own_api: Any, gate: Any, eventually: Any, is_alive: Any) -> None:
    api, data = own_api, own_api.server.data
    kept = kept_object(api)
    api.serve("left")
    pid = api.run("left", "os.getpid()")
    job_id = api.submit("left", f"{gate.code} + 'x' * 100_000")
    gate.reached()
    half = [
        half_a_request(api, "/v1/endpoints/left/jobs", "application/octet-stream"),
        half_a_request(api, "/v1/endpoints?name=half", "application/gzip"),
    ]
    eventually(lambda: len(files(data / "blobs")) == 2 and files(data / "uploads"))
    with api.http.stream("GET", "/v1/backup") as backup:
        next(backup.iter_raw())
        assert files(data / "backups")
        (scratch,) = (data / "scratch").iterdir()
        api.server.kill()
    for connection in half:
        connection.close()
    assert len(files(data / "blobs")) == 2
    assert files(data / "uploads")
    assert files(data / "backups")

    api.server.start()
    api.reconnect()
    assert not is_alive(pid)
    assert not scratch.exists()
    assert [files(data / name) for name in ("blobs", "uploads", "backups")] == [[kept], [], []]
    gate.reached()
    gate.open("again ")
    assert api.value(job_id) == "again " + "x" * 100_000
    assert len(files(data / "blobs")) == 2
