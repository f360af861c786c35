"""The seatrial command."""
