"""Checks of arrays and embeddings. Needs numpy (the extra `validate`). Nothing is ever unpickled."""

from __future__ import annotations

from seatrial.prove.validate.array import constant, dtype, finite, norm, parses, shape

CHECKS = (parses.CHECK, dtype.CHECK, shape.CHECK, finite.CHECK, constant.CHECK, norm.CHECK)
