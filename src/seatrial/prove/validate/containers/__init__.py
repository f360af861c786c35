"""Readers of file structures, with the standard library only: is the file as long as it says?

Each raises Damaged when its structure does not hold, and reads no more into memory than headers.
"""

from __future__ import annotations
