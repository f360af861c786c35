"""Checks of any file."""

from __future__ import annotations

from seatrial.prove.validate.file import exists, size

CHECKS = (exists.CHECK, size.CHECK)
