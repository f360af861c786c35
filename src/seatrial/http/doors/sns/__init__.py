"""Amazon SNS: topics, their subscribers by http and https, and what these are told."""

from seatrial.http.doors.sns.door import SnsDoor
from seatrial.http.doors.sns.job_messages import JobMessages
from seatrial.http.doors.sns.links import SnsLinks, is_sns_link
from seatrial.http.doors.sns.words import SnsWords

__all__ = ["JobMessages", "SnsDoor", "SnsLinks", "SnsWords", "is_sns_link"]
