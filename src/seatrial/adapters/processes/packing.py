"""From a piece of work to a frame, and from an answer's frame to what was produced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seatrial.adapters.processes.scratch import answer_file
from seatrial.domain.memory import MemoryUse
from seatrial.domain.work import FIELD_LAYOUTS, MemoryReading, Produced, Work
from seatrial.worker import protocol


class WorkFrame:
    """The `work` frame. What is too long for a segment is written to `folder`, by `write_files`."""

    def __init__(self, work: Work, number: int, layout: str, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, bytes] = {}
        self.segments: list[bytes] = []
        self.header: dict[str, Any] = {
            "type": protocol.WORK,
            "number": number,
            "token": work.token,
            "job_id": work.job_id,
            "folder": str(folder),
            "timeout_ms": work.timeout_ms,
            "task": work.task,
            "media_type": work.media_type,
            "accept": work.accept,
            "attributes": dict(work.attributes),
        }
        if layout in FIELD_LAYOUTS:
            self.header["fields"] = self._put(json.dumps(dict(work.fields)).encode())
            self.header["media"] = {name: self._put(content) for name, content in work.media.items()}
            self.header["media_forms"] = dict(work.media_forms)
        else:
            self.header["body"] = self._put(work.body)

    @property
    def has_files(self) -> bool:
        """True if `write_files` has something to write."""
        return bool(self._files)

    @property
    def uses_folder(self) -> bool:
        """True if there will be files in the folder: ours, or a media field that the handler wants as a file."""
        return self.has_files or "path" in self.header.get("media_forms", {}).values()

    def write_files(self) -> None:
        """Write the long payloads. Blocks."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path, data in self._files.items():
            path.write_bytes(data)

    def _put(self, content: bytes | Path) -> protocol.Content:
        if isinstance(content, Path):
            return {"path": str(content)}
        too_many = len(self.segments) == protocol.SEGMENTS_MAX
        if len(content) <= protocol.SEGMENT_BYTES_MAX and not too_many:
            self.segments.append(content)
            return {"segment": len(self.segments) - 1}
        path = self._folder / f"input-{len(self._files)}"
        self._files[path] = content
        return {"path": str(path)}


def produced(frame: protocol.Frame, folder: Path, memory: MemoryUse) -> Produced:
    """What the handler returned; its files stay in the folder.

    Raises:
        protocol.Malformed: the frame names a segment or file that is not there, or lacks something.
    """
    header, segments = frame

    def content(where: Any) -> bytes | Path:
        if "segment" in where:
            segment: bytes = segments[where["segment"]]
            return segment
        path = answer_file(folder, where["file"])
        if path is None:
            raise protocol.Malformed(f"an answer with the file {where['file']!r}, which is not there")
        return path

    try:
        return Produced(
            body=content(header["body"]),
            media_type=str(header["media_type"]),
            parts={str(name): content(where) for name, where in header["parts"].items()},
            handler_ms=float(header["handler_ms"]),
            reading=MemoryReading(int(header["memory"]), "memory_kept" in header),
            memory=memory,
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise protocol.Malformed(f"a done that is incomplete: {error!r}") from error
