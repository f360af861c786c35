"""Cog's HTTP API in front of any endpoint: at a port of its own, and under /cog/ENDPOINT."""

from seatrial.http.doors.cog.documents import Documents
from seatrial.http.doors.cog.door import CogDoor, CogPaths, speaks_cog
from seatrial.http.doors.cog.predictions import Capacity
from seatrial.http.doors.cog.webhooks import CogWebhooks

__all__ = ["Capacity", "CogDoor", "CogPaths", "CogWebhooks", "Documents", "speaks_cog"]
