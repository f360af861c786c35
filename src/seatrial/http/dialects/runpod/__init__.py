"""RunPod's serverless wires: what clients ask for, and what workers pull and post."""
