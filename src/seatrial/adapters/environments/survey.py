"""What a base interpreter brings: its version, its standard library, its other modules. It imports none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from seatrial.adapters.environments.answers import answer_of
from seatrial.adapters.environments.interpreter import Interpreter
from seatrial.domain.errors import Unproven

PROBE = """
import json, os, pkgutil, sys
names = {one.name for one in pkgutil.iter_modules()}
for folder in sys.path:
    if folder.endswith("site-packages") or folder.endswith("dist-packages"):
        try:
            names.update(one for one in os.listdir(folder) if one.isidentifier())
        except OSError:
            pass
stdlib = set(getattr(sys, "stdlib_module_names", ())) | set(sys.builtin_module_names)
library = os.path.dirname(os.__file__)
stdlib.update(one.name for one in pkgutil.iter_modules([library, os.path.join(library, "lib-dynload")]))
print(json.dumps({"modules": sorted(names), "stdlib": sorted(stdlib)}))
"""


async def modules_of(python: Interpreter, environ: Mapping[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    """Top-level modules beyond the standard library, and those of the standard library.

    Raises:
        Unproven: it does not answer.
    """
    code, said = await answer_of(python.path, PROBE, environ)
    try:
        found = json.loads(said) if code == 0 else {}
        modules, stdlib = frozenset(found["modules"]), frozenset(found["stdlib"])
    except (ValueError, KeyError):
        raise Unproven("environment", f"{python.path} does not say what it holds: {said[-300:].strip()}") from None
    return modules - stdlib, stdlib


DPKG_STATUS = Path("/var/lib/dpkg/status")


def system_packages(status: Path = DPKG_STATUS) -> frozenset[str] | None:
    """Debian's packages that are installed on this machine; None where dpkg keeps no list. Blocking."""
    try:
        text = status.read_text("utf-8", "replace")
    except OSError:
        return None
    found = set()
    for entry in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            found.add(fields.get("Package", ""))
            provided = fields.get("Provides", "").split(",")
            found.update(one.strip().partition(" ")[0] for one in provided)
    return frozenset(found - {""})
