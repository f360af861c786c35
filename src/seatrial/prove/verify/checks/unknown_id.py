"""Is a job that never was not found?"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from seatrial.prove.targets.trouble import Unknown
from seatrial.prove.verify.check import Check, Line, failed, ok
from seatrial.prove.verify.round import Round

ID = "unknown_id.not_found"


def look(round_: Round) -> Iterator[Line]:
    """A random id that nobody has."""
    try:
        status = round_.target.status(str(uuid.uuid4()))
    except Unknown as unknown:
        yield ok(ID, str(unknown))
    else:
        yield failed(ID, f"a job that never was has the status {status!r}", "answer 404, and let clients stop asking")


CHECK = Check(ID, "an unknown id is not found", look)
