"""Checks of films: headers and lengths, nothing is decoded."""

from __future__ import annotations

from seatrial.prove.validate.video import dimensions, duration, whole

CHECKS = (whole.CHECK, dimensions.CHECK, duration.CHECK)
