"""The S3 door: acts on the object store for requests in S3's dialect."""

from seatrial.http.doors.s3.door import S3Door

__all__ = ["S3Door"]
