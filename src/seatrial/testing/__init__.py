"""Doubles and conformance suites that we ship."""
