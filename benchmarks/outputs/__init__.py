"""A corpus of good and damaged outputs, made from a seed, for `seatrial validate`: `make validate-corpus`."""
