"""Where requests enter and become submissions."""
