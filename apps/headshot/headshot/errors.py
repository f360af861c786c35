"""What an answer's `error_type` can be, and why."""


class Refused(Exception):
    """A job that ends without a picture: `error_type` is for programs, the message for people."""

    def __init__(self, error_type: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.more = more

    def told(self) -> dict[str, object]:
        """As the job's answer. RunPod's SDK makes a failure of `error`, and of the output only `message` stays."""
        return {"error": str(self), "message": str(self), "error_type": self.error_type, **self.more}


class BadRequest(Refused):
    """The request cannot be answered, whoever asks again: the field, and what would be valid."""

    def __init__(self, error_type: str, message: str, field: str, valid: str) -> None:
        super().__init__(error_type, message, field=field, valid=valid)


class NotReady(Refused):
    """The worker could not begin: nothing that a request says would change that."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__("initialization_error", message, remedy=remedy)
        self.remedy = remedy


class StorageFailed(Refused):
    """`upload_error` or `signed_url_error`; `path` is where the picture is, or was to be."""
