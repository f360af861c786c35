"""Container images made byte by byte: what `docker save` writes, and OCI layouts."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seatrial.testing.corpus.parts import elf

Tree = Mapping[str, "bytes | str"]  # path -> bytes, or a link's target as a text
HANDLER = b"def handler(event, context):\n    return event\n"
BASE: Tree = {"usr/bin/bash": elf(), "usr/bin/sh": "bash", "bin": "usr/bin", "usr/bin/python3.11": elf()}
LAMBDA_CONFIG = {
    "Entrypoint": ["/lambda-entrypoint.sh"],
    "Cmd": ["lambda_handler.handler"],
    "Env": ["PATH=/usr/bin:/bin", "LAMBDA_TASK_ROOT=/var/task"],
    "WorkingDir": "/var/task",
}
LAMBDA: Tree = {"lambda-entrypoint.sh": b"#!/bin/sh\nexec python3.11\n", "var/task/lambda_handler.py": HANDLER}


def layer_of(tree: Tree, modes: Mapping[str, int] | None = None) -> bytes:
    """The tar of a layer; files are executable unless `modes` says otherwise."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in tree.items():
            info = tarfile.TarInfo(name)
            info.mode = (modes or {}).get(name, 0o755)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def docker_save(path: Path, layers: Sequence[bytes], config: Mapping[str, Any], machine: str = "amd64") -> Path:
    """The tar that `docker save` writes."""
    document = json.dumps({"architecture": machine, "os": "linux", "config": dict(config)}).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["model:latest"], "Layers": names}]
    with tarfile.open(path, "w") as tar:
        for name, content in [
            ("config.json", document),
            *zip(names, layers, strict=True),
            ("manifest.json", json.dumps(manifest).encode()),
        ]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def oci_layout(
    folder: Path,
    layers: Sequence[bytes],
    config: Mapping[str, Any],
    machine: str = "amd64",
    attested: bool = False,
    packed: Callable[[bytes], bytes] = gzip.compress,
    packing: str = "gzip",
) -> Path:
    """An OCI layout; `packed` compresses its layers, and `packing` is the word for that in their media type."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    document = json.dumps({"architecture": machine, "os": "linux", "config": dict(config)}).encode()
    manifest = {
        "schemaVersion": 2,
        "config": blob(document, "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(packed(one), f"application/vnd.oci.image.layer.v1.tar+{packing}") for one in layers],
    }
    entry = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    entries = [entry | {"platform": {"os": "linux", "architecture": machine}}]
    if attested:
        entries.append(
            blob(b"{}", "application/vnd.oci.image.manifest.v1+json")
            | {"platform": {"os": "unknown", "architecture": "unknown"}}
        )
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder
