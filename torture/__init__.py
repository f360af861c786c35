"""A long random run against a real server: `make torture SECONDS=… SEED=…`."""
