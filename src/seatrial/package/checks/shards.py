"""Are all the files there that an index of sharded weights names (`model.safetensors.index.json` and its like)?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from seatrial.domain.limits import NAMES_SHOWN_MAX
from seatrial.package.finding import Finding
from seatrial.package.listing import ListedFile

ID = "shards"


def check_shards(listed: Iterable[ListedFile], fetched: tuple[str, ...]) -> Iterator[Finding]:
    """One error for each index. `fetched` are paths that [[weights]] brings."""
    for file in listed:
        if not file.name.endswith(".index.json"):
            continue
        name, path = file.name, file.path
        try:
            places = json.loads(path.read_bytes())["weight_map"]
            files = sorted(set(places.values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # some other index
        folder = PurePosixPath(name).parent
        missing = [
            one for one in files if not (path.parent / one).exists() and (folder / one).as_posix() not in fetched
        ]
        if missing and not any(folder.is_relative_to(one) for one in fetched):
            shown = ", ".join(missing[:NAMES_SHOWN_MAX])
            message = f"{name} names {len(files)} files of weights, of which {len(missing)} are missing: {shown}."
            yield Finding(ID, "error", message, "Add them beside the index, or declare them as [[weights]].", name)
