"""The words and the rules, pure: no clock, no await, no I/O."""
