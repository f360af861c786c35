"""One file per kind of handler that a worker can load."""
