"""`array.parses`: a whole `.npy`, or an `.npz` of them with sound checksums, whose bytes are as many as they say."""

from __future__ import annotations

from seatrial.prove.validate.array.figures import read_arrays
from seatrial.prove.validate.check import Check, Passed, Subject, Unfit


def _run(subject: Subject) -> Passed:
    arrays = subject.once(read_arrays)
    names = [one.name for one in arrays]
    missing = [name for name in subject.profile.array.members if name not in names]
    if missing:
        raise Unfit(f"Archive lacks the array {missing[0]!r}; it holds {', '.join(names)}", missing=missing)
    shown = ", ".join(f"{one.dtype} {list(one.shape)}" for one in arrays[:3]) + (", …" if len(arrays) > 3 else "")
    return Passed(shown, {"arrays": len(arrays)})


CHECK = Check(
    "array.parses",
    _run,
    "write numbers with numpy.save or numpy.savez to a temporary file, and rename it when it is complete",
    needs=("file.exists", "file.size"),
)
READ = (*CHECK.needs, CHECK.id)  # what the other checks need
