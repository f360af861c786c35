"""What a trial's report needs of its samples: a hash over them, and what each of them was and brought."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from seatrial.domain.contract import Contract, Sample
from seatrial.domain.media_types import EXTENSIONS
from seatrial.engine.outputs import PRIMARY
from seatrial.engine.report import Item, Shown
from seatrial.engine.trial.prove import Proof, tasks_of
from seatrial.package.digest import file_hash

_BY_EXTENSION = {extension: media_type for media_type, extension in EXTENSIONS.items()} | {".jpeg": "image/jpeg"}


def inside_samples(contract: Contract, root: Path) -> dict[str, object]:
    """How many samples a package has, and a hash over their names and the bytes of all their files. Blocking."""
    digest, count = hashlib.sha256(), 0
    for task in tasks_of(contract):
        for sample in task.samples:
            count += 1
            digest.update(f"{task.name} {sample.name}\0".encode())
            for role, file in _files(sample):
                digest.update(f"{role} {file_hash(root / file)}\0".encode())
    return {"count": count, "sha256": digest.hexdigest()}


def shown(proofs: Sequence[Proof], root: Path) -> list[Shown]:
    """The samples that passed, with their inputs from the package and their outputs as they were published."""
    return [
        Shown(one.task.name, one.sample.name, one.job.id, one.seconds, [*_inputs(one.sample, root), *_outputs(one)])
        for one in proofs
    ]


def _files(sample: Sample) -> list[tuple[str, str]]:
    named = [("input", sample.input), ("expect", sample.expect)]
    return [(role, file) for role, file in named if file is not None] + sorted(sample.files.items())


def _inputs(sample: Sample, root: Path) -> list[Item]:
    request = [Item("input", "request", sample.media_type, root / sample.input)] if sample.input else []
    return request + [
        Item("input", name, _BY_EXTENSION.get(Path(file).suffix.lower(), "application/octet-stream"), root / file)
        for name, file in sample.files.items()
    ]


def _outputs(proof: Proof) -> list[Item]:
    """The primary part first: it is what the handler returned."""
    parts = sorted(proof.job.parts, key=lambda part: part.name != PRIMARY)
    return [Item("output", part.name, part.media_type, part.object) for part in parts]
