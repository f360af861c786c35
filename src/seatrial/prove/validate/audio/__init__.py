"""Checks of sound files: headers and lengths, nothing is decoded."""

from __future__ import annotations

from seatrial.prove.validate.audio import duration, format, whole

CHECKS = (whole.CHECK, format.CHECK, duration.CHECK)
