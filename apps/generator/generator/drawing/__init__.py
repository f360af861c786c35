"""Pictures that a script draws, each with what is on it: what the small model learns from and is judged by."""
