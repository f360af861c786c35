"""Packages kept in folders, by content."""
