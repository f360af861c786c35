"""Are these outputs whole and sane? Pictures, meshes, arrays, JSON, sound and film, by small checks.

    from seatrial.prove.validate import STUDIO, validate_file

    verdict = validate_file("job_003.png", STUDIO)
    if not verdict.is_valid:
        print(verdict.reason)

Pictures, meshes and arrays need the extra `validate`; importing this needs nothing.
"""

from __future__ import annotations

from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.validate.check import MissingLibrary
from seatrial.prove.validate.kinds import Kind, kind_of_name
from seatrial.prove.validate.profile import DEFAULT, PROFILES, STUDIO, Profile
from seatrial.prove.validate.profile_file import (
    BadProfile,
    load_profile,
    load_schema,
    profile_from,
    profile_of,
    read_profile_table,
)
from seatrial.prove.validate.run import checks_of, validate_bytes, validate_file
from seatrial.prove.validate.verdict import Verdict

__all__ = [
    "DEFAULT",
    "PROFILES",
    "STUDIO",
    "BadProfile",
    "Finding",
    "Kind",
    "MissingLibrary",
    "Outcome",
    "Profile",
    "Verdict",
    "checks_of",
    "kind_of_name",
    "load_profile",
    "load_schema",
    "profile_from",
    "profile_of",
    "read_profile_table",
    "validate_bytes",
    "validate_file",
]
