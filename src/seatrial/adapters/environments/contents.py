"""What an environment holds: the interpreter, and every distribution that it finds. It imports none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seatrial.adapters.environments.answers import answer_of
from seatrial.domain.errors import Unproven

# A distribution counts with its version and the files that its RECORD lists, as installed: scripts (which hold paths of
# this machine), bytecode and notes of the installer aside. The first on the path wins, as it does for imports.
PROBE = """
import hashlib, importlib.metadata, json, platform, re, sys, sysconfig
found = {}
for one in importlib.metadata.distributions():
    head = (one.read_text("METADATA") or one.read_text("PKG-INFO") or "").partition("\\n\\n")[0]
    said = dict(re.findall(r"^(Name|Version): *(.*?) *$", head, re.MULTILINE))
    name = re.sub(r"[-_.]+", "-", said.get("Name", "")).lower()
    if not name or name in found:
        continue
    lines = [line for line in (one.read_text("RECORD") or "").splitlines()
             if not line.startswith(("..", "/")) and ".dist-info/" not in line and ".pyc," not in line]
    digest = hashlib.sha256("\\n".join(sorted(lines)).encode()).hexdigest()[:12]
    found[name] = said.get("Version", "") + (" (" + digest + ")" if lines else "")
print(json.dumps({
    "interpreter": {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "abi": sysconfig.get_config_var("SOABI") or "",
    },
    "environment": {"distributions": dict(sorted(found.items()))},
}))
"""


async def contents_of(python: Path, environ: Mapping[str, str]) -> Mapping[str, Mapping[str, Any]]:
    """`interpreter` and `environment`, each as plain facts.

    Raises:
        Unproven: it does not answer.
    """
    code, said = await answer_of(python, PROBE, environ)
    try:
        found: dict[str, Mapping[str, Any]] = json.loads(said) if code == 0 else {}
    except ValueError:
        found = {}
    if not found:
        raise Unproven("environment", f"{python} does not say what it holds: {said[-300:].strip()}")
    return found
