"""What a trial leaves behind: a signed report, bound to what it was made on, and a page that shows it.

`reports.py` makes, keeps and finds them; `envelope.py` is the signature, `bindings.py` what it is bound to.
"""

from seatrial.engine.report.envelope import Envelope, NotGenuine, key_id, opened, sealed
from seatrial.engine.report.kept import Item, Shown
from seatrial.engine.report.reports import REPORTS_BUCKET, Evidence, Report, Reports, signed_by
from seatrial.engine.report.surroundings import Surroundings

__all__ = [
    "REPORTS_BUCKET",
    "Envelope",
    "Evidence",
    "Item",
    "NotGenuine",
    "Report",
    "Reports",
    "Shown",
    "Surroundings",
    "key_id",
    "opened",
    "sealed",
    "signed_by",
]
