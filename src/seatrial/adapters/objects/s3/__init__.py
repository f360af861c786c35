"""Objects in an S3 service: bytes are staged through obstore, names are given through botocore."""

from seatrial.adapters.objects.s3.service import S3Access, S3Service
from seatrial.adapters.objects.s3.store import S3Objects

__all__ = ["S3Access", "S3Objects", "S3Service"]
