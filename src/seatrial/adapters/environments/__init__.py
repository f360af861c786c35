"""Cached virtual environments."""
