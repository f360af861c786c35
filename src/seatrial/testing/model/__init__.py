"""An explicit-state model of how jobs end: every interleaving of a small world, judged state by state."""
