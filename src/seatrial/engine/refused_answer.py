"""An answer that could not become a result, kept for those who want to look at it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from seatrial.domain.work import Produced


async def keep_answer(produced: Produced, remains: Path, job_id: str) -> None:
    """Put what the handler returned into a folder `answer-JOB` of `remains`, as long as that is there."""
    await asyncio.to_thread(_keep, produced, remains, job_id)


def _keep(produced: Produced, remains: Path, job_id: str) -> None:
    if not remains.is_dir():
        return
    with contextlib.suppress(OSError):  # a full disk, say: then there is nothing to look at
        folder = remains / f"answer-{job_id}"
        folder.mkdir(exist_ok=True)
        for name, content in {"result": produced.body, **produced.parts}.items():
            target = folder / name.replace("/", "_")
            if isinstance(content, Path):
                shutil.copyfile(content, target)
            else:
                target.write_bytes(content)
