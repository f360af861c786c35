"""What importing a package's handler imports, all the way down, without running any of it."""
