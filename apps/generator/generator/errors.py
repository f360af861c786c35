"""What keeps a generator from loading, an adapter from being attached, or a request from being drawn."""


class NotLoadable(RuntimeError):
    """A backend was asked for that cannot be had here: nothing else takes its place."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}; {remedy}")
        self.message = message
        self.remedy = remedy


class BadAdapter(ValueError):
    """A file is no adapter, or one of another model."""
