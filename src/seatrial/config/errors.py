"""What is wrong with how a server is set up."""

from __future__ import annotations


class ConfigError(Exception):
    """A setting, a credentials file or a data folder that cannot be used; one line, with the remedy."""
