"""The machine's own clock and secrets."""
