"""Container images by their files alone: what `docker save` wrote, an OCI layout, or a Dockerfile."""
