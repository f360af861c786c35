"""The checks of a live deployment, one file each."""
