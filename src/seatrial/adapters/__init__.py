"""The world behind the ports. Adapters never import each other."""
