"""The studio protocol, at a port of its own: one endpoint as an asynchronous LoRA image server."""

from seatrial.http.doors.studio.callbacks import StudioCallbacks
from seatrial.http.doors.studio.door import StudioDoor

__all__ = ["StudioCallbacks", "StudioDoor"]
