"""Big files kept once, by content."""
