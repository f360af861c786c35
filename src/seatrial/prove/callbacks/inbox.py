"""What has arrived, and its files: a folder with one numbered folder for each callback, the oldest forgotten first."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seatrial.prove.callbacks.callback import Answered, Callback, Part
from seatrial.prove.callbacks.reading import Content
from seatrial.prove.callbacks.signatures import Signature, Trust
from seatrial.prove.limits import CALLBACKS_KEPT_BYTES_MAX, CALLBACKS_KEPT_MAX
from seatrial.prove.validate import DEFAULT, Kind, MissingLibrary, Profile, validate_file

RECORD = "callback.json"
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


class Inbox:
    """Keeps callbacks. Blocking; safe in threads. `change` grows with everything that happens to one."""

    def __init__(
        self,
        folder: Path,
        profile: Profile | None = DEFAULT,
        kept_max: int = CALLBACKS_KEPT_MAX,
        kept_bytes_max: int = CALLBACKS_KEPT_BYTES_MAX,
    ) -> None:
        """Goes on with what the folder holds. `profile` None: nothing is looked at.

        Raises:
            OSError: the folder cannot be made or read.
        """
        self.folder = folder
        self._profile = profile
        self._kept_max = kept_max
        self._kept_bytes_max = kept_bytes_max
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._callbacks: dict[int, Callback] = {}
        self._firsts: dict[str, int] = {}  # delivery id -> number
        self.change = 0
        self._bytes = 0
        self._listeners: list[Callable[[], object]] = []
        folder.mkdir(parents=True, exist_ok=True)
        for record in sorted(folder.glob(f"*/{RECORD}")):
            callback = _read(record)
            if callback is not None:
                self._remember(callback)
        self._next = max((int(one.name) for one in folder.iterdir() if one.name.isdigit()), default=0) + 1

    def number(self) -> int:
        """A number that no other callback has."""
        with self._lock:
            self._next += 1
            return self._next - 1

    def keep(self, callback: Callback, contents: Sequence[Content]) -> None:
        """Write a callback and its files. Raises OSError: the disk is full or the folder is gone."""
        place = self._place(callback.number)
        place.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            digest = hashlib.sha256(content.data).hexdigest()
            part = Part(content.name, content.media_type, len(content.data), digest)
            file = place / f"{number}-{_file_name(content.name)}"
            file.write_bytes(content.data)
            part.saved_path = str(file)
            callback.parts.append(part)
        with self._lock:
            self._remember(callback)
            self._write(callback)
            self._forget()

    def look(self, callback: Callback) -> None:
        """Decode and judge its parts with the checks of their kinds."""
        if self._profile is None:
            return
        for part in callback.parts:
            if part.saved_path is None:
                continue
            try:
                verdict = validate_file(part.saved_path, self._profile, _kind(part.media_type))
            except MissingLibrary as missing:
                part.reason = f"not looked at: {missing}"
                continue
            part.kind = verdict.kind.value
            if verdict.kind is not Kind.OTHER:
                part.valid, part.reason = verdict.is_valid, verdict.reason
        self.changed(callback)

    def changed(self, callback: Callback) -> None:
        """Tell those who wait, and the record on disk."""
        with self._lock:
            if callback.number in self._callbacks:
                self._write(callback)
                self._ring()

    def callbacks(self) -> list[Callback]:
        """All that are kept, oldest first."""
        with self._lock:
            return list(self._callbacks.values())

    def callback(self, number: int) -> Callback | None:
        """One of them."""
        return self._callbacks.get(number)

    def wait(self, since: int, seconds: float) -> int:
        """The change that is the newest once there is one after `since`, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.change > since, seconds)
            return self.change

    @contextmanager
    def heard(self, listener: Callable[[], object]) -> Iterator[None]:
        """`listener` is called at each change, in the thread that makes it, until the block ends."""
        with self._lock:
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def clear(self) -> int:
        """Forget all of them, with their files; how many."""
        with self._lock:
            count = len(self._callbacks)
            for number in list(self._callbacks):
                self._drop(number)
            self._ring()
            return count

    # ------------------------------------------------------------ keeping

    def _remember(self, callback: Callback) -> None:
        if callback.delivery_id:
            first = self._firsts.setdefault(callback.delivery_id, callback.number)
            callback.repeat_of = first if first != callback.number else None
        self._callbacks[callback.number] = callback
        self._bytes += _size(callback)
        self._ring()

    def _ring(self) -> None:
        with self._changed:
            self.change += 1
            self._changed.notify_all()
            for listener in self._listeners:
                listener()

    def _forget(self) -> None:
        while len(self._callbacks) > self._kept_max or (
            self._bytes > self._kept_bytes_max and len(self._callbacks) > 1
        ):
            self._drop(min(self._callbacks))

    def _drop(self, number: int) -> None:
        gone = self._callbacks.pop(number)
        self._bytes -= _size(gone)
        if self._firsts.get(gone.delivery_id) == number:
            del self._firsts[gone.delivery_id]
        shutil.rmtree(self._place(number), ignore_errors=True)

    def _write(self, callback: Callback) -> None:
        self._place(callback.number).joinpath(RECORD).write_text(
            json.dumps({**callback.told(), "provided_secret": ""}, indent=1), "utf-8"
        )

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06}"


def _size(callback: Callback) -> int:
    return sum(part.size_bytes for part in callback.parts)


def _kind(media_type: str) -> Kind | None:
    """What a part claims to be is what it is held to; otherwise its name and bytes tell."""
    family = media_type.partition("/")[0]
    return Kind(family) if family in (Kind.IMAGE, Kind.AUDIO, Kind.VIDEO) else None


def _file_name(name: str) -> str:
    """A name without anything that a path could be made of."""
    return _ODD.sub("_", name).lstrip(".")[-80:] or "part"


def _read(record: Path) -> Callback | None:
    """What an earlier run wrote; None: not written by one."""
    try:
        told: Mapping[str, Any] = json.loads(record.read_text("utf-8"))
        known = {name: told[name] for name in Callback.__dataclass_fields__}
        known["signature"] = Signature(**(told["signature"] | {"trust": Trust(told["signature"]["trust"])}))
        known["parts"] = [Part(**part) for part in told["parts"]]
        known["answered"] = Answered(told["answered"])
        return Callback(**known)
    except (OSError, ValueError, KeyError, TypeError):
        return None
