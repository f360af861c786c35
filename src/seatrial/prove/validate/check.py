"""What a check is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.validate.content import Content
from seatrial.prove.validate.kinds import Kind
from seatrial.prove.validate.profile import Profile

T = TypeVar("T")


class Unfit(Exception):
    """The thing does not pass; what the finding will say."""

    def __init__(self, message: str, **measured: Any) -> None:
        super().__init__(message)
        self.message = message
        self.measured = measured


class NotApplicable(Exception):
    """The check has nothing to say about this thing; the message says why."""


class MissingLibrary(Exception):
    """A library of the extra `validate` is not installed; the message says how to install it."""

    def __init__(self, name: str | None) -> None:
        super().__init__(f"{name} is not installed: pip install 'seatrial[validate]'")


@dataclass(slots=True)
class Subject:
    """One thing under check. What several checks need is read once."""

    content: Content
    profile: Profile
    kind: Kind
    _read: dict[Callable[..., Any], Any] = field(default_factory=dict)

    def once(self, read: Callable[[Subject], T]) -> T:
        """The result of `read`, kept for the next check."""
        if read not in self._read:
            self._read[read] = read(self)
        return cast("T", self._read[read])


@dataclass(frozen=True, slots=True)
class Passed:
    """The thing passes; `doubt` makes a warning of it."""

    message: str
    measured: Mapping[str, Any] = field(default_factory=dict)
    doubt: bool = False
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `run` returns Passed, or raises Unfit or NotApplicable.

    `needs` names checks that must not have failed: without them there is nothing to look at. `remedy` is what to do
    when it fails.
    """

    id: str
    run: Callable[[Subject], Passed]
    remedy: str
    needs: tuple[str, ...] = ()

    def look(self, subject: Subject, failed: frozenset[str]) -> Finding:
        """The finding about this subject, `failed` being the checks that failed before."""
        missing = next((one for one in self.needs if one in failed), None)
        if missing is not None:
            return Finding(self.id, Outcome.NOT_APPLICABLE, f"not looked at, since {missing} failed")
        try:
            passed = self.run(subject)
        except NotApplicable as reason:
            return Finding(self.id, Outcome.NOT_APPLICABLE, str(reason))
        except Unfit as unfit:
            return Finding(self.id, Outcome.FAILED, unfit.message, self.remedy, unfit.measured)
        except MemoryError:
            return Finding(self.id, Outcome.FAILED, "looking at it takes more memory than there is", self.remedy)
        except MissingLibrary:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: one strange file never ends a run over many
            told = f"could not be looked at: {type(error).__name__}: {error}"
            return Finding(self.id, Outcome.FAILED, told, self.remedy, {"broke": type(error).__name__})
        if passed.doubt:
            return Finding(self.id, Outcome.WARNING, passed.message, passed.remedy or self.remedy, passed.measured)
        return Finding(self.id, Outcome.OK, passed.message, measured=passed.measured)
