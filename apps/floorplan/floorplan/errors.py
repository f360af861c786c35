"""What can be wrong with a picture, said so that a caller can repair it."""

from __future__ import annotations


class InputError(ValueError):
    """A request that no retry can help. `error_type` names the kind, `field` the input at fault."""

    def __init__(self, error_type: str, message: str, field: str = "image") -> None:
        super().__init__(message)
        self.error_type = error_type
        self.field = field
        self.message = message
