"""Seatrial: an inference server for jobs that take seconds to hours."""

__version__ = "0.1.0"
