"""What a request can get wrong, and what keeps a model from loading or a training from running."""


class BadRequest(ValueError):
    """The request cannot be answered, whoever asks again: `error_type` and the field say why."""

    def __init__(self, error_type: str, message: str, field: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.field = field


class NotLoadable(RuntimeError):
    """A model, an index or a backend that cannot be loaded here; the message ends with what to do about it."""


class NotTrainable(RuntimeError):
    """A catalogue that nothing can be made of; the message ends with what to do about it."""
