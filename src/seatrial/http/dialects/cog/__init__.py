"""Cog's HTTP API, as the server of replicate/cog 0.23 (coglet) has it: only translated, nothing is done here."""
