"""The parent side of worker processes on this machine."""
