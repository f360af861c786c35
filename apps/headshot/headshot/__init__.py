"""Headshots from prompts, each in the storage of the user who asked."""
