"""A receiver to test with: keeps what is called back, checks signatures and pictures, and misbehaves when told to.

from seatrial.prove.callbacks import Inbox, receiving

with receiving(Inbox(folder)) as receiver:
    submit(webhook=f"{receiver.url}/job-1")
"""

from __future__ import annotations

from seatrial.prove.callbacks.callback import Answered, Callback, Part
from seatrial.prove.callbacks.inbox import Inbox
from seatrial.prove.callbacks.misbehaviour import Misbehaviour, Orders
from seatrial.prove.callbacks.server import CannotListen, Receiver, receiving

__all__ = [
    "Answered",
    "Callback",
    "CannotListen",
    "Inbox",
    "Misbehaviour",
    "Orders",
    "Part",
    "Receiver",
    "receiving",
]
