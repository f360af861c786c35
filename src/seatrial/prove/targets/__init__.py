"""Live deployments that can be verified and stressed, one file for each wire that they speak.

    from seatrial.prove.targets import Request, parse

    with parse("sagemaker:gen3d@us-east-1", os.environ) as target:
        ticket = target.submit(Request(input={"task": "get_embedding", "image": "…"}))
        answer = target.wait(ticket, 60)

Importing this needs nothing but httpx; `sagemaker:` needs the extra `aws`.
"""

from __future__ import annotations

from seatrial.prove.request import Request, SentFile
from seatrial.prove.targets.address import EXAMPLES, parse
from seatrial.prove.targets.answer import Answer, Failure, Part, State
from seatrial.prove.targets.target import Cleaned, Description, Health, LogLine, Scaling, Target, Ticket
from seatrial.prove.targets.trouble import (
    BadTarget,
    CannotSend,
    Forbidden,
    NotOffered,
    Refused,
    TargetTrouble,
    Unknown,
    Unreachable,
)

__all__ = [
    "EXAMPLES",
    "Answer",
    "BadTarget",
    "CannotSend",
    "Cleaned",
    "Description",
    "Failure",
    "Forbidden",
    "Health",
    "LogLine",
    "NotOffered",
    "Part",
    "Refused",
    "Request",
    "Scaling",
    "SentFile",
    "State",
    "Target",
    "TargetTrouble",
    "Ticket",
    "Unknown",
    "Unreachable",
    "parse",
]
