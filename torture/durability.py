"""I1 in a trace of system calls: nothing is told to anybody before the flushes that cover it have ended.

- A 202 follows a flush of the database's log that began after the page with the job was written.
- An answer that calls a job succeeded follows a flush that began after the page that says so was written.
- A page that names a blob is written after that blob's bytes were flushed, after them the folder's entry, and before
  both the folder itself, if it is new.
- The database's files have their entry in the data folder flushed before the first 202.

kill -9 alone shows nothing of this: what was written and not flushed survives in the page cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from torture.trace import SYNCS, WRITES, Call

_LOCATION = re.compile(r"location: /v1/jobs/([0-9a-f-]{36})")
_SUCCEEDED = re.compile(r'\\"id\\": ?\\"([0-9a-f-]{36})\\".*?\\"status\\": ?\\"succeeded')
_BLOB = re.compile(r"/blobs/[0-9a-f]{2}/([0-9a-f]{32})$")


class Durability:
    """What one trace shows."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._log_writes = [one for one in calls if one.name in WRITES and one.path.endswith("seatrial.db-wal")]
        self._syncs = [one for one in calls if one.name in SYNCS and not one.failed]
        sent = [one for one in calls if one.name in WRITES and one.path.startswith("socket:")]
        self.accepted = [(one, job) for one in sent if " 202 " in one.text for job in _LOCATION.findall(one.text)]
        self.told = [(one, job) for one in sent for job in _SUCCEEDED.findall(one.text)]
        self.blobs = [one for one in calls if one.name == "openat" and "O_CREAT" in one.text and self._blob_of(one)]

    def violations(self) -> list[str]:
        """Everything that was told, or named, too early."""
        return [*self._accepted_early(), *self._told_early(), *self._named_early(), *self._folder_unflushed()]

    def _accepted_early(self) -> Iterator[str]:
        for answer, job in self.accepted:
            if not self._logged(answer, job):
                yield f"the 202 for job {job} left before its commit was flushed"

    def _told_early(self) -> Iterator[str]:
        for answer, job in self.told:
            if not self._logged(answer, job, "succeeded"):
                yield f"job {job} was called succeeded before that was flushed"

    def _logged(self, answer: Call, *words: str) -> bool:
        """A flush of the log began after a page with these words was written, and ended before the answer."""
        return any(
            self._flushed(page.path, page.ended, answer.begun)
            for page in self._log_writes
            if page.ended < answer.begun and all(word in page.text for word in words)
        )

    def _named_early(self) -> Iterator[str]:
        for made in self.blobs:
            blob, path = self._blob_of(made), PurePosixPath(self._made_path(made))
            named = next((page for page in self._log_writes if blob in page.text), None)
            if named is None:
                continue
            written = [one for one in self._calls if one.name in WRITES and one.path == str(path)]
            last = max(one.ended for one in written)
            if not self._flushed(str(path), last, named.begun):
                yield f"blob {blob} was named before its bytes were flushed"
            if not self._flushed(str(path.parent), made.ended, named.begun):
                yield f"blob {blob} was named before its folder's entry was flushed"
            yield from self._new_folder(path.parent, named)

    def _new_folder(self, folder: PurePosixPath, named: Call) -> Iterator[str]:
        for one in self._calls:
            made = one.name == "mkdir" and f'"{folder}"' in one.text and not one.failed
            if made and not self._flushed(str(folder.parent), one.ended, named.begun):
                yield f"the folder {folder.name} was used before its entry was flushed"

    def _folder_unflushed(self) -> Iterator[str]:
        made = [
            one for one in self._calls if one.name == "openat" and "O_CREAT" in one.text and "seatrial.db" in one.text
        ]
        new = [one for one in made if not one.failed and "seatrial.db-wal" in one.text]
        if new and self.accepted:
            folder = str(PurePosixPath(self._made_path(new[0])).parent)
            if not self._flushed(folder, new[0].begun, self.accepted[0][0].begun):
                yield "the entry of the database's log in the data folder was not flushed before the first 202"

    def _flushed(self, path: str, after: int, before: int) -> bool:
        return any(one.path == path and one.begun > after and one.ended < before for one in self._syncs)

    def _blob_of(self, call: Call) -> str:
        found = _BLOB.search(self._made_path(call))
        return found[1] if found else ""

    @staticmethod
    def _made_path(call: Call) -> str:
        """`openat(AT_FDCWD<...>, "path", …) = 7</the/path>`: where it is."""
        return call.text.rpartition("<")[2].rstrip(">\n") if call.text.rstrip().endswith(">") else ""
