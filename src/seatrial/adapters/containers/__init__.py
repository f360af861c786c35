"""Container images on this machine, by the engine that is there: podman or docker."""
