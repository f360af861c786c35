"""The command line: `seatrial`."""
