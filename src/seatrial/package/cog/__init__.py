"""Cog's packages: what `cog.yaml` says, and the contract that the signature of the code is."""
