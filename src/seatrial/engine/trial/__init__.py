"""The proof of a version, stage by stage: what it must pass before it takes ordinary jobs.

`trial.py` has the order of the stages; each of the later ones has a file of its own.
"""

from seatrial.engine.trial.court import Court, Proved
from seatrial.engine.trial.reason import failure_reason
from seatrial.engine.trial.trial import Trial

__all__ = ["Court", "Proved", "Trial", "failure_reason"]
