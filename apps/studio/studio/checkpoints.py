"""Where a training that was stopped goes on: its checkpoint, under a name that only the same training has.

In the worker's own folder, which lasts as long as the worker; or below an `s3://bucket/prefix`, which outlasts it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from studio.errors import CheckpointsUnavailable

KEPT_MAX = 8  # of trainings that were stopped; the oldest go first
SUFFIX = ".checkpoint"


def name_of(training: Mapping[str, Any]) -> str:
    """What all that decides the training's outcome is called; `training` is JSON."""
    return hashlib.sha256(json.dumps(training, sort_keys=True).encode()).hexdigest()


class Checkpoints(Protocol):
    """A place for checkpoints, kept by name."""

    @contextmanager
    def open(self, name: str, resume: bool) -> Iterator[Checkpoint]:
        """A checkpoint's file for the time of a training; gone once the block ends without an exception."""
        ...


class Checkpoint:
    """The local file `path`; there is one already where a training goes on. `keep` is called after every step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self) -> None:
        """Nothing more is to be done for what lies in its place."""


class LocalCheckpoints:
    """In a folder of this machine."""

    def __init__(self, folder: Path, kept_max: int = KEPT_MAX) -> None:
        self._folder = folder
        self._kept_max = kept_max

    @contextmanager
    def open(self, name: str, resume: bool) -> Iterator[Checkpoint]:
        """See Checkpoints."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}{SUFFIX}"
        if not resume:
            path.unlink(missing_ok=True)
        try:
            yield Checkpoint(path)
        except BaseException:
            self._forget()
            raise
        path.unlink(missing_ok=True)

    def _forget(self) -> None:
        kept = sorted(self._folder.glob(f"*{SUFFIX}"), key=lambda one: one.stat().st_mtime)
        for path in kept[: -self._kept_max]:
            path.unlink(missing_ok=True)


class _Uploaded(Checkpoint):
    """One whose every version is put into the bucket: an object is there whole or not at all."""

    def __init__(self, path: Path, bucket: S3Checkpoints, name: str) -> None:
        super().__init__(path)
        self._bucket = bucket
        self._name = name
        self._seen = _version(path)

    def keep(self) -> None:
        """Put it, if it is another one than before."""
        found = _version(self.path)
        if found is not None and found != self._seen:
            self._bucket.put(self._name, self.path)
            self._seen = found


class S3Checkpoints:
    """Below `s3://bucket/prefix`, by boto3 with the worker's own key."""

    def __init__(self, uri: str, folder: Path, client: Any, kept_max: int = KEPT_MAX) -> None:
        self._uri = uri
        self._bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._local = LocalCheckpoints(folder, kept_max)
        self._s3 = client
        self._kept_max = kept_max

    @contextmanager
    def open(self, name: str, resume: bool) -> Iterator[Checkpoint]:
        """See Checkpoints. Raises CheckpointsUnavailable before the training, if the bucket cannot be used."""
        with self._local.open(name, resume=False) as local:
            if resume:
                self._fetch(name, local.path)
            try:
                yield _Uploaded(local.path, self, name)
            except BaseException:
                self._forget()
                raise
            with self._reached():
                self._s3.delete_object(Bucket=self._bucket, Key=self._key(name))

    def put(self, name: str, path: Path) -> None:
        """Keep this as the checkpoint of that name."""
        with self._reached():
            self._s3.put_object(Bucket=self._bucket, Key=self._key(name), Body=path.read_bytes())

    def _fetch(self, name: str, path: Path) -> None:
        with self._reached():
            try:
                found = self._s3.get_object(Bucket=self._bucket, Key=self._key(name))["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                return
            path.write_bytes(found)

    def _forget(self) -> None:
        with self._reached():
            listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix).get("Contents", [])
            kept = sorted((one for one in listed if one["Key"].endswith(SUFFIX)), key=lambda one: one["LastModified"])
            for one in kept[: -self._kept_max]:
                self._s3.delete_object(Bucket=self._bucket, Key=one["Key"])

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}{SUFFIX}"

    @contextmanager
    def _reached(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            remedy = "make the bucket, or deploy without STUDIO_CHECKPOINTS"
            raise CheckpointsUnavailable(f"{self._uri} cannot be used ({error}); {remedy}") from error


def checkpoints_at(place: str) -> Checkpoints:
    """`place` is `s3://bucket/prefix`, or empty: the worker's own folder.

    Raises:
        CheckpointsUnavailable: it is neither.
    """
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / "checkpoints"
    if not place:
        return LocalCheckpoints(folder)
    if not place.startswith("s3://") or not place.removeprefix("s3://").partition("/")[0]:
        raise CheckpointsUnavailable(f"STUDIO_CHECKPOINTS is {place!r}; give s3://bucket/prefix, or leave it out")
    import boto3

    return S3Checkpoints(place, folder, boto3.client("s3"))


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
