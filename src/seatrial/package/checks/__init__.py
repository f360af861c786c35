"""One check per file: what it looks at, what it says, and what to do about it. Nothing of a package is run."""
