"""`mesh.parses`: a whole GLB, PLY, OBJ or STL, of a format that the profile takes."""

from __future__ import annotations

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.mesh.geometry import format_of, read_geometry


def _run(subject: Subject) -> Passed:
    form, wanted = format_of(subject), subject.profile.mesh.formats
    if wanted and form not in wanted:
        raise Unfit(f"Mesh is a {form.upper()}, expected {' or '.join(wanted).upper()}", format=form)
    geometry = subject.once(read_geometry)
    measured = {"format": form, "parts": len(geometry.parts)}
    if not geometry.parts:
        raise Unfit("Mesh holds no geometry", **measured)
    if geometry.doubt:
        return Passed(geometry.doubt, measured, doubt=True)
    return Passed(f"{form.upper()}, {len(geometry.parts)} part{'s' if len(geometry.parts) > 1 else ''}", measured)


CHECK = Check(
    "mesh.parses",
    _run,
    "write to a temporary file, flush it, and rename it when it is complete; copy it only after that",
    needs=("file.exists", "file.size"),
)
READ = (*CHECK.needs, CHECK.id)  # what the other checks need
