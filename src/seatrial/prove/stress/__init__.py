"""Race scenarios against any target: every output looked at, and held against the one that the request gave alone."""
