"""The checklist that a stranger goes through before believing that a deployment works.

from seatrial.prove.targets import parse
from seatrial.prove.verify import Verifier

with parse("seatrial:floorplan", os.environ) as target:
    report = Verifier(target, target.contract()).run()
    print(report.passed, [line.finding.message for line in report.failed])
"""

from __future__ import annotations

from seatrial.prove.verify.check import Check, Line
from seatrial.prove.verify.checklist import CHECKLIST
from seatrial.prove.verify.page import html_page
from seatrial.prove.verify.plan import Plan, plan_of
from seatrial.prove.verify.report import Report
from seatrial.prove.verify.round import Settings
from seatrial.prove.verify.verifier import Verifier

__all__ = ["CHECKLIST", "Check", "Line", "Plan", "Report", "Settings", "Verifier", "html_page", "plan_of"]
