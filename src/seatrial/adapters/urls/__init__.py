"""URLs that requests name."""
