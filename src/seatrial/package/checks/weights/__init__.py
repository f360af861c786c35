"""One check per format of weights: is the file what its name says, whole, and harmless? Only headers are read."""
