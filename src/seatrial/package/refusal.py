"""How this room says no: the thing at fault, what would be valid, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.domain.errors import Unproven


def refusal(
    what: str,
    remedy: str,
    *,
    field: str | None = None,
    valid: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Unproven:
    """An inspection error; the remedy is in `details["remedy"]` alone, and whoever shows the error adds it."""
    return Unproven("inspect", f"{what}.", field=field, valid=valid, details={"remedy": remedy, **(details or {})})
