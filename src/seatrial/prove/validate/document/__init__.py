"""Checks of JSON documents."""

from __future__ import annotations

from seatrial.prove.validate.document import finite, parses, schema

CHECKS = (parses.CHECK, finite.CHECK, schema.CHECK)
