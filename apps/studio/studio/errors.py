"""What a request can get wrong, and how a job ends that was told to stop."""


class BadRequest(ValueError):
    """The request cannot be answered, whoever asks again: `error_type`, the field and what would be valid say why."""

    def __init__(self, error_type: str, message: str, field: str, valid: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.field = field
        self.valid = valid


class CheckpointsUnavailable(RuntimeError):
    """The place for checkpoints that the deployment names cannot be used; the message says what to do."""

    error_type = "checkpoints_unavailable"


class TrainingUnavailable(RuntimeError):
    """The backend draws with adapters that were trained elsewhere; none are trained here."""

    error_type = "training_unavailable"


class Stopped(Exception):
    """The job was cancelled, or its time is up; what it leaves is dropped."""
