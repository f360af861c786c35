"""Broken packages, one fault each, and healthy ones of unusual structure: what checks and trials are measured with."""
