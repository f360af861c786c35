"""One check per question that is asked of a container image before it is run."""
