"""Values of secrets never show in logs, messages or tracebacks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from seatrial.domain.failures import Failure
from seatrial.domain.limits import SECRET_REDACTED_CHARS_MIN


class Redactor:
    """Replaces each secret's value, and each line of a value of several lines, by `[redacted NAME]`.

    Values shorter than `SECRET_REDACTED_CHARS_MIN` stay: they would take ordinary words with them.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names = {form: name for name, value in secrets.items() for form in _forms(value)}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self.secret_bytes_max = max((len(form.encode()) for form in longest_first), default=0)

    def text(self, text: str) -> str:
        """The text without the secrets."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: f"[redacted {self._names[match.group()]}]", text)

    def failure(self, failure: Failure) -> Failure:
        """The failure without the secrets, at any depth of its details."""
        if self._pattern is None:
            return failure
        return Failure(failure.error_type, self.text(failure.message), self._within(dict(failure.details)))

    def _within(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self._within(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._within(one) for one in value]
        return value


def _forms(value: str) -> set[str]:
    """The value as it may show up: whole, line by line, and escaped as JSON and repr do."""
    lines = {line.strip() for line in value.splitlines()}
    plain = {value, value.strip(), *lines}
    escaped = {json.dumps(form)[1:-1] for form in plain} | {repr(form)[1:-1] for form in plain}
    return {form for form in plain | escaped if len(form) >= SECRET_REDACTED_CHARS_MIN}
