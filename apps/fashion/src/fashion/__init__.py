"""Clothes that look like one, and clothes that go with it."""
