"""What the server does, one verb per file."""
