"""What a package is: open it safely, read its contract, judge it."""
