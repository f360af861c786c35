"""Everything that is wrong with a `seatrial.toml`, gathered before anything is said."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from seatrial.domain.errors import Unproven

MODEL = TypeVar("MODEL", bound=BaseModel)
MANIFEST_NAME = "seatrial.toml"
REMEDY = "Correct these places in the package and deploy it again."


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where (`table` as written in the file, `key` in it), what was found, and what is valid."""

    table: str
    key: str | None
    message: str
    valid: str | None = None
    file: str = MANIFEST_NAME

    def __str__(self) -> str:
        where = " ".join(part for part in (self.file, self.table, self.key) if part)
        return f"{where}: {self.message}" + (f" (valid: {self.valid})" if self.valid else "")


@dataclass(slots=True)
class Problems:
    """The faults found so far."""

    found: list[Problem] = field(default_factory=list)

    def add(
        self, table: str, key: str | None, message: str, valid: str | None = None, file: str = MANIFEST_NAME
    ) -> None:
        """Note one."""
        self.found.append(Problem(table, key, message, valid, file))

    def parse(self, model: type[MODEL], values: object, table: str) -> MODEL | None:
        """The table as its model, or None with every fault noted."""
        if not isinstance(values, Mapping):
            self.add(table, None, f"found {shown(values)}", "a table")
            return None
        try:
            return model.model_validate(dict(values))
        except ValidationError as error:
            noted = Problems()
            for fault in error.errors(include_url=False):
                noted._note(model, table, dict(fault), values)
            self.found += dict.fromkeys(noted.found)  # each member of a union has a fault of its own, in the same words
            return None

    def raise_if_any(self, remedy: str = REMEDY) -> None:
        """Say them all at once.

        Raises:
            Unproven: with one line for each; `details["problems"]` has them one by one.
        """
        if not self.found:
            return
        first = self.found[0]
        count = len(self.found)
        head = "" if count == 1 else f"{count} problems:\n"
        raise Unproven(
            "inspect",
            head + "\n".join(str(one) for one in self.found),
            field=f"{first.table} {first.key}" if first.key else first.table,
            valid=first.valid,
            details={
                "remedy": remedy,
                "problems": [
                    {"file": one.file, "table": one.table, "key": one.key, "message": one.message, "valid": one.valid}
                    for one in self.found
                ],
            },
        )

    def _note(self, model: type[BaseModel], table: str, fault: dict[str, Any], values: Mapping[str, Any]) -> None:
        key = str(fault["loc"][0])
        keys = {info.alias or name: info for name, info in model.model_fields.items()}
        if fault["type"] == "extra_forbidden":
            self.add(table, key, f"is no key of this table{did_you_mean(key, keys)}", ", ".join(keys))
            return
        valid = keys[key].description
        if fault["type"] == "missing":
            self.add(table, key, "is missing", valid)
        else:
            self.add(table, _written(fault["loc"], values), f"found {shown(fault['input'])}", valid or fault["msg"])


def _written(place: Iterable[str | int], values: Any) -> str:
    """A place as it is in the file: without the names that pydantic gives to the members of a union."""
    steps = []
    for step in place:
        is_key = isinstance(values, Mapping) and step in values
        is_number = isinstance(values, list) and isinstance(step, int) and step < len(values)
        if is_key or is_number:
            values = values[step]
            steps.append(str(step))
    return ".".join(steps)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?", or nothing when no known word is near."""
    near = difflib.get_close_matches(word, [str(one) for one in known], n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def shown(value: object) -> str:
    """A value of the file as people see it, shortened."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
