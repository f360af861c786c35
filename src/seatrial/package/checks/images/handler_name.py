"""Is a word a Lambda handler, `module.function`? As an ENTRYPOINT it starts nothing; it belongs in CMD."""

from __future__ import annotations

import re

LAMBDA_ENTRYPOINT = "/lambda-entrypoint.sh"  # what AWS's base images start: the runtime
SCRIPT_SUFFIXES = (".py", ".sh", ".js")
_HANDLER = re.compile(r"[A-Za-z_][\w/.-]*\.[A-Za-z_]\w*")


def is_handler_name(word: str) -> bool:
    """Whether the runtime can split it into a module and a function."""
    return _HANDLER.fullmatch(word) is not None and not word.endswith(SCRIPT_SUFFIXES)


def handler_as_entrypoint_remedy(handler: str) -> str:
    """For an ENTRYPOINT that names it."""
    return f'Take ENTRYPOINT out and write CMD ["{handler}"]: {LAMBDA_ENTRYPOINT} of the base starts the runtime.'
